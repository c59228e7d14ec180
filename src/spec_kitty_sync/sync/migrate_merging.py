"""What migrations found and decided since a backup, kept when it is restored.

The bytes of a row in conflict or quarantine may stand nowhere else after `migrate cleanup`.
"""

from __future__ import annotations

import sqlite3

_SOURCES = """
SELECT path, kind, holds, digest, scope, fingerprint, stamp, outcome, reason, remedy, row_count,
       body_uploads, body_failures, ignored_reason, ignored_fingerprint
FROM migration_source ORDER BY id
"""
_KEEP_SOURCE = """
INSERT INTO migration_source (
    path, kind, holds, digest, scope, fingerprint, stamp, outcome, reason, remedy, row_count,
    body_uploads, body_failures, ignored_reason, ignored_fingerprint
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
    holds = excluded.holds, scope = excluded.scope, fingerprint = excluded.fingerprint,
    stamp = excluded.stamp, outcome = excluded.outcome, reason = excluded.reason,
    remedy = excluded.remedy, row_count = excluded.row_count,
    body_uploads = excluded.body_uploads, body_failures = excluded.body_failures,
    ignored_reason = excluded.ignored_reason, ignored_fingerprint = excluded.ignored_fingerprint
"""
_CONFLICTS = """
SELECT s.path, c.event_id, c.source_row, c.body, c.content_hash, c.class, c.found_at_ms, c.present,
       c.kept, c.resolved_at_ms
FROM migration_conflict c JOIN migration_source s ON s.id = c.source_id ORDER BY c.id
"""
_KEEP_CONFLICT = """
INSERT INTO migration_conflict (
    source_id, event_id, source_row, body, content_hash, class, found_at_ms, present, kept,
    resolved_at_ms
)
SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM migration_source WHERE path = ?1
ON CONFLICT (source_id, source_row, content_hash) DO UPDATE SET
    present = excluded.present, kept = excluded.kept, resolved_at_ms = excluded.resolved_at_ms
"""
_QUARANTINED = """
SELECT s.path, q.source_row, q.column_id, q.body, q.body_sha256, q.reason, q.detail, q.found_at_ms,
       q.present, q.accepted_at_ms
FROM migration_quarantine q JOIN migration_source s ON s.id = q.source_id ORDER BY q.id
"""
_KEEP_QUARANTINED = """
INSERT INTO migration_quarantine (
    source_id, source_row, column_id, body, body_sha256, reason, detail, found_at_ms, present,
    accepted_at_ms
)
SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM migration_source WHERE path = ?1
ON CONFLICT (source_id, source_row, body_sha256) DO UPDATE SET
    present = excluded.present, accepted_at_ms = excluded.accepted_at_ms
"""
_PROVENANCE = """
SELECT s.path, j.event_id, p.source_row, p.queued_at, p.retry_count, p.coalesce_identity, p.note
FROM migration_provenance p JOIN migration_source s ON s.id = p.source_id
JOIN journal_ids j ON j.seq = p.seq
"""
_KEEP_PROVENANCE = """
INSERT OR IGNORE INTO migration_provenance (
    seq, source_id, source_row, queued_at, retry_count, coalesce_identity, note
)
SELECT j.seq, s.id, ?3, ?4, ?5, ?6, ?7 FROM journal_ids j JOIN migration_source s
WHERE j.event_id = ?2 AND s.path = ?1
"""
_AUDITS = "SELECT at_ms, action, subject, reason, detail FROM migration_audit ORDER BY id"
_KEEP_AUDIT = """
INSERT INTO migration_audit (at_ms, action, subject, reason, detail)
SELECT ?1, ?2, ?3, ?4, ?5
WHERE NOT EXISTS (SELECT 1 FROM migration_audit
                  WHERE at_ms = ?1 AND action = ?2 AND subject = ?3 AND detail IS ?5)
"""
# In this order: the later ones refer to sources, and to events that are there already.
_KEPT = (
    (_SOURCES, _KEEP_SOURCE),
    (_CONFLICTS, _KEEP_CONFLICT),
    (_QUARANTINED, _KEEP_QUARANTINED),
    (_PROVENANCE, _KEEP_PROVENANCE),
    (_AUDITS, _KEEP_AUDIT),
)


def merge_migrations(draft: sqlite3.Connection, live: sqlite3.Connection) -> None:
    """Take into *draft*, which has the events of *live* already, what *live* knows of sources.

    Where both know a row, what was decided last counts. In the caller's transaction.
    """
    for found, keep in _KEPT:
        draft.executemany(keep, live.execute(found))
