"""What a report comes to: whether everything is delivered, and one line. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from spec_kitty_sync._words import plural
from spec_kitty_sync.sync.status_report import Attention, StatusReport

# What an operator has to settle before "everything delivered" is true; the other codes are about
# events that still wait, or are counted in a section of their own.
UNSETTLED = frozenset(
    {"legacy_source_unreadable", "migration_conflicts", "quarantine", "server_reset", "unaccounted"}
)


def unsettled(report: StatusReport) -> tuple[Attention, ...]:
    """Return what keeps "everything delivered" from being true though nothing waits to be sent."""
    return tuple(each for each in report.attention if each.code in UNSETTLED)


def is_left_to_do(report: StatusReport) -> bool:
    """Whether the operator has something to do after a drain (CONTRACT 8: exit code 1, else 0).

    Pending answers, events that stay here by choice, and events of other teams are nothing to do.
    """
    failed = report.delivery_ledger.rejected + report.delivery_ledger.transient
    held = any(each.code.startswith("held_") for each in report.attention)
    parked = report.terminal_failures.count
    return bool(failed or held or parked or report.legacy_sources.waiting or unsettled(report))


def in_one_line(report: StatusReport, in_the_way: str) -> str:
    """Return what is not delivered, or that everything is; *in_the_way* keeps events here."""
    parts = list(_parts(report))
    journal = report.event_journal
    if not parts:
        has_events = journal.retained_event_count + journal.archived_event_count
        parts.append("everything delivered" if has_events else "the journal is empty")
    if report.delivery_ledger.undelivered and in_the_way:
        parts.append(f"blocked: {in_the_way}")
    return "; ".join(parts)


def _parts(report: StatusReport) -> Iterator[str]:
    if report.delivery_ledger.undelivered:
        yield f"{report.delivery_ledger.undelivered} to deliver"
    if report.held:
        yield "held: " + ", ".join(f"{each.count} {each.meaning}" for each in report.held)
    legacy, migration = report.legacy_sources, report.migration_conflicts
    if legacy.waiting:
        yield f"{legacy.waiting} in queues of older versions"
    if unreadable := sum(1 for source in legacy.sources if source.problem):
        yield f"{plural(unreadable, 'old queue')} that cannot be read"
    for count, words in (
        (migration.count, "in conflict between two sources"),
        (migration.quarantined, "in quarantine"),
        (report.terminal_failures.count, "parked"),
    ):
        if count:
            yield f"{count} {words}"
    if any(each.code == "server_reset" for each in report.attention):
        yield "the server may have lost what was delivered"
