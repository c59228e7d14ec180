"""What a report comes to: whether everything is delivered, and one line. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from spec_kitty_sync.sync.status_report import (
    Attention,
    Held,
    LedgerSection,
    LegacySection,
    MigrationSection,
    StatusReport,
    TerminalSection,
)

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


def in_one_line(
    ledger: LedgerSection,
    held: tuple[Held, ...],
    terminal: TerminalSection,
    legacy: LegacySection,
    migration: MigrationSection,
    *,
    reset: bool,
    has_events: bool,
) -> str:
    """Return what is not delivered, or that everything is."""
    parts = list(_parts(ledger, held, terminal, legacy, migration))
    if reset:
        parts.append("the server may have lost what was delivered")
    if not parts:
        parts.append("everything delivered" if has_events else "the journal is empty")
    return "; ".join(parts)


def _parts(
    ledger: LedgerSection,
    held: tuple[Held, ...],
    terminal: TerminalSection,
    legacy: LegacySection,
    migration: MigrationSection,
) -> Iterator[str]:
    if ledger.undelivered:
        yield f"{ledger.undelivered} to deliver"
    if held:
        yield "held: " + ", ".join(f"{each.count} {each.meaning}" for each in held)
    unreadable = sum(1 for source in legacy.sources if source.problem)
    for count, words in (
        (legacy.waiting, "in queues of older versions"),
        (unreadable, "old queues that cannot be read"),
        (migration.count, "in conflict between two sources"),
        (migration.quarantined, "in quarantine"),
        (terminal.count, "parked"),
    ):
        if count:
            yield f"{count} {words}"
