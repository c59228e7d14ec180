"""Measure what every check sends to the reference receiver, and write it down for `--sk-plan`."""

from __future__ import annotations

from spec_kitty_sync.conformance.catalogue import catalogue_path, load_catalogue
from spec_kitty_sync.conformance.mutants import checks_of, healthy_results

_HEAD = """# Requests and events of each check, measured by scripts/measure_budget.py against
# the reference receiver. Random stories vary from run to run: theirs are rounded up.
"""
# What depends on the receiver's answers: the longest way through.
_AT_LEAST = {"SKR-TRN-04": (2, 2), "SKR-AUT-06": (4, 4), "SKR-IDM-11": (400, 400)}


def main() -> None:
    """Run every check of every profile once."""
    results = healthy_results(checks_of(load_catalogue(), "soak"))
    lines = [_HEAD, "[budget]"]
    for check_id in dict.fromkeys(result.check_id for result in results):
        mine = [result for result in results if result.check_id == check_id]
        requests = sum(result.requests for result in mine)
        events = sum(result.events_sent for result in mine)
        if check_id in {"SKR-ROB-03", "SKR-ROB-04"}:
            requests, events = 100 * (requests // 100 + 1), 1000 * (events // 1000 + 1)
        most = _AT_LEAST.get(check_id, (0, 0))
        requests, events = max(requests, most[0]), max(events, most[1])
        lines.append(f"{check_id} = {{ requests = {requests}, events = {events} }}")
    path = catalogue_path().with_name("budget-1.0.toml")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
