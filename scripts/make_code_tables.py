"""Fill the tables of docs/error-codes.md from the code.

python scripts/make_code_tables.py [--check]
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from spec_kitty_sync import events
from spec_kitty_sync.delivery.states import DeliveryState
from spec_kitty_sync.diagnose.causes import CODES, category_of, remedy_of
from spec_kitty_sync.errors import SpecKittyError
from spec_kitty_sync.events.admission import HOLD_CODES
from spec_kitty_sync.sync.blocked import BlockedReason
from spec_kitty_sync.sync.failure_report import remedy_for
from spec_kitty_sync.sync.gates import remedy_of as way_out
from spec_kitty_sync.sync.hold_reasons import hold_reason
from spec_kitty_sync.sync.typed_events import NO_FOUR_LANE_FORM

PAGE = Path(__file__).resolve().parents[1] / "docs" / "error-codes.md"
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.S)
_BLOCKED = {
    "sync_disabled": "Delivery is switched off in this shell.",
    "no_auth": "Nobody is logged in at this server.",
    "no_team": "The login has no team, and Teamspace needs one.",
    "private_teamspace": "The server answered 403 for this login; a new login asks again.",
    "no_target": "No server is chosen.",
    "target_conflict": "Configuration and environment name different servers.",
    "no_identity": "The event was made outside a project.",
    "local_retention": "The mode keeps events on this machine.",
    "offline": "The last attempt found no server, or one that asked to wait.",
    "protocol_mismatch": "The last attempt found a server that does not speak this protocol.",
}
_STOPS = "See [a drain stops](#a-drain-stops)."
_WAITS = "See [an event waits](#an-event-waits)."
# Where each case has a way out of its own, and the message names it.
_ELSEWHERE = {
    "deadline": _STOPS,
    "delivery": _STOPS,
    "delivery_blocked": _WAITS,
    "migration": "See [the ways out of a migration](migration.md#the-ways-out).",
    "missing_extra": "Run the `pip install` that the message names.",
    "receiver_protocol": _STOPS,
    "response_too_large": _STOPS,
    "source_unreadable": "See [a source cannot be read](#a-source-cannot-be-read).",
    "store": "Run `spec-kitty sync doctor`.",
    "target": _WAITS,
    "target_conflict": _WAITS,
    "tls": _STOPS,
    "transport": _STOPS,
    "unsafe_path": "Run the `chmod` or `rm` that the message names.",
    "usage": "The message names the option, key or file; `--help` shows examples.",
}
# Beside the verdicts of the wire gate: what the selection, the migration and the emitter hold.
_HELD = ("archived", "local_only", "other_team", "migration_conflict", "corrupt", NO_FOUR_LANE_FORM)
_HOLD_MEANS = {
    "bad_audience": "`data_tier` is not 0-4, or `team_slug` is not text",
    "bad_event_id": "the id is no ULID; emit the event anew and discard this one",
    "bad_project_uuid": "`project_uuid` is no version 4 UUID",
    "too_large": "larger than 256 KiB, or than the receiver takes",
    NO_FOUR_LANE_FORM: 'the move stays inside one of four lanes, and `lanes = "four"` is set',
}
_CATEGORIES = (
    "auth_expired", "id_conflict", "data_tier", "team_scope", "server_error", "schema_mismatch",
    "unknown",
)  # fmt: skip


def errors() -> Iterator[tuple[str, ...]]:
    """Yield code, exit code, meaning and remedy of every error that a command may print."""
    for found in pkgutil.walk_packages(events.__path__, "spec_kitty_sync.events."):
        importlib.import_module(found.name)
    importlib.import_module("spec_kitty_sync.registry_load")
    yield "code", "exit code", "what happened", "way out"
    for each in sorted(_leaves(SpecKittyError), key=lambda each: each.code):
        (meaning, *_) = (each.__doc__ or "").splitlines()
        way = _ELSEWHERE.get(each.code, each.default_remedy)
        yield f"`{each.code}`", str(each.exit_code), meaning, way


def _leaves(base: type[SpecKittyError]) -> Iterator[type[SpecKittyError]]:
    for each in base.__subclasses__():
        if "code" in vars(each):
            yield each
        yield from _leaves(each)


def blocked() -> Iterator[tuple[str, ...]]:
    """Yield each reason for which nothing leaves."""
    yield "reason", "meaning", "way out"
    for each in BlockedReason:
        yield f"`{each}`", _BLOCKED[each], way_out(each)


_NO_REMEDY = {
    "archived": "A backup from before brings them back: `spec-kitty sync restore FILE`.",
}


def holds() -> Iterator[tuple[str, ...]]:
    """Yield each reason for which one event does not leave."""
    yield "reason", "events …", "way out"
    for code in sorted({*HOLD_CODES, *_HELD}):
        reason = hold_reason(code)
        meaning = _HOLD_MEANS.get(code) or _finding(code) or reason.meaning
        remedy = _NO_REMEDY.get(code, "None needed: it is what was asked for.")
        yield f"`{code}`", meaning, reason.remedy or remedy


def _finding(code: str) -> str:
    return CODES[code] if code.startswith(("json_", "schema_")) else ""


def failures() -> Iterator[tuple[str, ...]]:
    """Yield what helps for each category of refusal, and for each state."""
    yield "category", "`rejected`", "`dead_letter`, `terminal_failed`"
    for category in _CATEGORIES:
        tried = remedy_for(DeliveryState.REJECTED, category)
        parked = remedy_for(DeliveryState.DEAD_LETTER, category)
        yield f"`{category}`", tried, "the same" if parked == tried else parked


def findings() -> Iterator[tuple[str, ...]]:
    """Yield each finding code."""
    yield "code", "meaning", "category", "what helps"
    for code, meaning in CODES.items():
        yield f"`{code}`", meaning, category_of(code), remedy_of(code)


TABLES = {
    "errors": errors, "blocked": blocked, "holds": holds, "failures": failures,
    "findings": findings,
}  # fmt: skip


def filled(text: str) -> str:
    """Return the page with its tables as they are today."""

    def fill(match: re.Match[str]) -> str:
        head, *rows = TABLES[match[2]]()
        lines = [head, ("---",) * len(head), *rows]
        table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
        return match[1] + table + match[3]

    return _TABLE.sub(fill, text)


def main(arguments: list[str]) -> str | None:
    """Write the page, or with --check say whether it is current."""
    text = PAGE.read_text(encoding="utf-8")
    if "--check" in arguments:
        return None if filled(text) == text else f"{PAGE} is not current"
    PAGE.write_text(filled(text), encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
