"""What older versions left: rows that wait in their queues, and what a migration left to decide."""

from __future__ import annotations

import os

from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.sync.status_report import (
    BodyUploadSection,
    ConflictSummary,
    LegacySection,
    LegacySourceStatus,
    MigrationSection,
    QueueFile,
)

_PLACES = ("event_journal", "queue.db", "queues", "projects")
_CONFLICTS = """
SELECT event_id, max(class = 'divergent'), count(*) OVER () FROM migration_conflict
WHERE kept IS NULL GROUP BY event_id ORDER BY event_id LIMIT ?
"""
_QUARANTINED = "SELECT count(*) FROM migration_quarantine WHERE accepted_at_ms IS NULL"
_LISTED = 20


def legacy_section(home: Home, store: Store | None) -> tuple[LegacySection, BodyUploadSection]:
    """Return what each source of older versions holds that the journal does not."""
    if not any(os.path.lexists(home.root / place) for place in _PLACES):
        # A home that never had an older version need not load what reads them. A link that leads
        # nowhere right now is a place, too.
        return LegacySection(0, ()), BodyUploadSection(0, 0)
    from spec_kitty_sync.sync.migrate_sources import waiting

    found = waiting(home, store)
    sources = tuple(
        LegacySourceStatus(each.path, each.kind, each.problem, each.rows, each.waiting, each.remedy)
        for each in found
    )
    return (
        LegacySection(sum(each.waiting or 0 for each in found), sources),
        BodyUploadSection(
            sum(each.body_uploads for each in found), sum(each.body_failures for each in found)
        ),
    )


def legacy_queue(home: Home, legacy: LegacySection) -> QueueFile:
    """Return the field of that name: the old queue's place, and what waits in old queues."""
    return QueueFile(str(home.queue_db), home.queue_db.exists(), legacy.waiting)


def migration_section(store: Store | None) -> MigrationSection:
    """Return what a migration left to decide; the first of them by id."""
    if store is None:
        return MigrationSection(0, False, (), 0)
    with store.reading() as conn:
        rows = conn.execute(_CONFLICTS, (_LISTED,)).fetchall()
        quarantined = int(conn.execute(_QUARANTINED).fetchone()[0])
    conflicts = tuple(
        ConflictSummary(event_id, "divergent" if divergent else "volatile")
        for event_id, divergent, _ in rows
    )
    count = rows[0][2] if rows else 0
    return MigrationSection(count, bool(count), conflicts, quarantined)
