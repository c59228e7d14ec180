"""How a drain and the status report look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spec_kitty_sync.cli.render import console, plain, print_json, say, size, table
from spec_kitty_sync.cli.render_error import visible

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


def status(report: StatusReport, *, as_json: bool) -> int:
    """Print the status report and return its exit code."""
    if as_json:
        print_json(report)
        return report.exit_code
    _where(report)
    _counts(report)
    for held in report.held:
        say(_held_line(held))
    _legacy(report)
    for failed in report.terminal_failures.events[:5]:
        say(f"parked: {failed.event_id}  {visible(failed.last_error or '')}")
    say(f"{report.summary[:1].upper()}{report.summary[1:]}.")
    return report.exit_code


def _where(report: StatusReport) -> None:
    authority = report.target_authority
    say(f"home    {report.home}")
    if authority.override_mode == "setup_only":
        say(f"target  config: {authority.configured_server_url}, env: {authority.env_server_url}")
        say("        These differ, so nothing is sent.")
    else:
        say(f"target  {authority.resolved_server_url or 'none; events stay in the journal'}")
    current = report.delivery_targets.current
    if current is not None and current.last_delivery_at:
        say(f"        last delivery {current.last_delivery_at}")
    for other in report.delivery_targets.previous:
        say(f"        earlier: {other.url} ({other.delivered_count} delivered)")


def _counts(report: StatusReport) -> None:
    ledger, journal = report.delivery_ledger, report.event_journal
    lines = table("#events", "state")
    rows = (
        (journal.retained_event_count, f"kept in the journal ({size(journal.journal_size_bytes)})"),
        (ledger.delivered_current_target, "delivered to this target"),
        (ledger.undelivered, "to deliver"),
        (ledger.pending, "  of these accepted, not settled yet"),
        (ledger.rejected, "  of these rejected, tried again later"),
        (ledger.transient, "  of these failed for now, tried again later"),
        (ledger.held, "held"),
        (ledger.dead_letter, "rejected for good (dead letter)"),
        (ledger.terminal_failed, "refused for good"),
        (journal.archived_event_count, "archived or collected"),
    )
    for count, words in rows:
        if count or not words.startswith(("  ", "rej", "ref", "arch")):
            lines.add_row(f"{count}", words)
    console().print(lines)


def _legacy(report: StatusReport) -> None:
    for source in report.legacy_sources.sources:
        if source.problem:
            say(f"old queue {source.path}: {source.problem}")
    if report.legacy_sources.waiting:
        say(
            f"{report.legacy_sources.waiting} events wait in queues of older versions. "
            "Fetch them with `spec-kitty sync migrate`."
        )
    uploads = report.body_upload_compatibility
    if uploads.body_upload_queue_count:
        say(f"{uploads.body_upload_queue_count} document uploads of older versions: left alone")
