"""How a drain and the status report look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spec_kitty_sync.cli.render import console, plain, print_json, say, table

if TYPE_CHECKING:
    from spec_kitty_sync.api import DeliveryResult
    from spec_kitty_sync.delivery.report import DrainReport
    from spec_kitty_sync.sync.status_report import Held, StatusReport

_ROWS = (
    ("delivered", "delivered"),
    ("duplicates", "there already"),
    ("pending", "accepted, not settled yet"),
    ("rejected", "rejected, tried again later"),
    ("dead", "rejected for good (dead letter)"),
    ("terminal", "refused for good"),
    ("transient", "failed for now"),
    ("not_sent", "not sent"),
)


def delivery(result: DeliveryResult, *, as_json: bool) -> int:
    """Print what `sync now` did and return its exit code."""
    if as_json:
        document = plain(result.drain)
        print_json({**document, "exit_code": result.exit_code, "remaining": result.status.summary})
        return result.exit_code
    _drain(result.drain)
    _why_it_stopped(result.drain)
    _what_waits(result.status)
    return result.exit_code


def _drain(drain: DrainReport) -> None:
    if not drain.selected:
        say("Nothing to send.")
        return
    say(f"{drain.selected} events to {drain.endpoint}")
    lines = table("#events", "outcome")
    for name, words in _ROWS:
        if count := getattr(drain, name):
            lines.add_row(f"{count}", words)
    console().print(lines)
    for group in drain.failures:
        ids = ", ".join(group.example_ids[:3])
        say(f"  {group.count} × {group.category}: {group.reason or 'no reason given'}")
        say(f"      {ids}{' …' if group.count > 3 else ''}")


def _why_it_stopped(drain: DrainReport) -> None:
    if drain.stop is None:
        return
    say(f"Stopped: {drain.stop.message}")
    if drain.stop.server_words:
        say(f"  the server says: {drain.stop.server_words}")
    say(f"  {drain.stop.remedy}")


def _what_waits(report: StatusReport) -> None:
    for held in report.held:
        say(_held_line(held))
    if report.legacy_sources.waiting:
        say(
            f"{report.legacy_sources.waiting} events wait in queues of older versions. "
            "Fetch them with `spec-kitty sync migrate`."
        )
    elif report.delivery_ledger.undelivered == 0 and not report.terminal_failures.count:
        stuck = any(held.remedy for held in report.held)
        say("Everything that may leave is delivered." if stuck else "Everything delivered.")


def _held_line(held: Held) -> str:
    line = f"held: {held.count} {held.meaning}"
    return f"{line}. {held.remedy}" if held.remedy else line
