"""The migration's own tables: sources, provenance, conflicts, quarantine, audit.

All methods run inside the caller's transaction on the store of the home.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spec_kitty_sync._json import BOM
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.event_journal.journal import content_hash
from spec_kitty_sync.sync.legacy_sources import LegacyRow, LegacySource, shown_path
from spec_kitty_sync.sync.migrate_marks import fingerprint_any

if TYPE_CHECKING:
    from spec_kitty_sync.sync.migrate_rows import Candidate, Refused

_SOURCE_COLUMNS = """
SELECT id, path, kind, holds, digest, scope, fingerprint, stamp, outcome, reason, remedy,
       row_count, body_uploads, body_failures, ignored_reason, ignored_fingerprint
FROM migration_source
"""
_SOURCE_BY_PATH = _SOURCE_COLUMNS + "WHERE path = ?"
_SOURCES = _SOURCE_COLUMNS + "ORDER BY id"
_ADD_SOURCE = """
INSERT INTO migration_source (path, kind, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
"""
_FINISH_SOURCE = """
UPDATE migration_source
SET holds = ?, scope = ?, fingerprint = ?, stamp = ?, outcome = ?, reason = ?, remedy = ?,
    row_count = ?, body_uploads = ?, body_failures = ?
WHERE id = ?
"""
_SET_SCOPE = "UPDATE migration_source SET scope = ? WHERE id = ?"
_IGNORE = "UPDATE migration_source SET ignored_reason = ?, ignored_fingerprint = ? WHERE id = ?"
_ABSENT = (
    "UPDATE migration_conflict SET present = 0 WHERE source_id = ?",
    "UPDATE migration_quarantine SET present = 0 WHERE source_id = ?",
)
_PROVENANCE = """
INSERT OR IGNORE INTO migration_provenance (
    seq, source_id, source_row, queued_at, retry_count, coalesce_identity, note
) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_DECIDED = """
SELECT iif(kept IS NULL, 'conflict', 'settled') FROM migration_conflict
WHERE event_id = ? AND content_hash = ? ORDER BY kept IS NULL LIMIT 1
"""
_REPLACED_BODIES = """
SELECT a.old_body FROM event_journal_audit a JOIN journal_ids j ON j.seq = a.seq
WHERE j.event_id = ? AND a.old_body IS NOT NULL
"""
_QUARANTINE_STANDING = """
SELECT iif(q.accepted_at_ms IS NULL, 'quarantined', 'settled')
FROM migration_quarantine q JOIN migration_source s ON s.id = q.source_id
WHERE s.path = ? AND q.source_row = ? AND q.body_sha256 = ?
"""
_CONFLICT = """
INSERT INTO migration_conflict (
    event_id, source_id, source_row, body, content_hash, class, found_at_ms
) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source_id, source_row, content_hash) DO UPDATE SET present = 1
RETURNING kept IS NULL
"""
_QUARANTINE = """
INSERT INTO migration_quarantine (
    source_id, source_row, column_id, body, body_sha256, reason, detail, found_at_ms
) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source_id, source_row, body_sha256) DO UPDATE SET present = 1
RETURNING accepted_at_ms IS NULL
"""
_UNDECIDED = """
SELECT (SELECT count(*) FROM migration_conflict WHERE kept IS NULL)
     + (SELECT count(*) FROM migration_quarantine WHERE accepted_at_ms IS NULL)
"""
_TROUBLED = """
SELECT coalesce(sum(kept IS NULL), 0), count(kept) FROM migration_conflict
WHERE source_id = ?1 AND present
UNION ALL
SELECT coalesce(sum(accepted_at_ms IS NULL), 0), count(accepted_at_ms) FROM migration_quarantine
WHERE source_id = ?1 AND present
"""
# Rows of an old journal, never queued, whose coalesce identity a queue row took over later.
_REPLACED = """
SELECT max(queued.seq), old.seq
FROM migration_provenance old
JOIN migration_source journal ON journal.id = old.source_id AND journal.holds = 'event_journal'
JOIN migration_provenance queued
  ON queued.coalesce_identity = old.coalesce_identity AND queued.seq <> old.seq
JOIN migration_source queue ON queue.id = queued.source_id AND queue.holds = 'queue'
WHERE old.coalesce_identity IS NOT NULL
  AND old.seq IN (SELECT seq FROM journal_ids WHERE NOT superseded AND NOT archived)
  AND coalesce(queued.queued_at, old.queued_at, 0) >= coalesce(old.queued_at, 0)
  AND NOT EXISTS (
    SELECT 1 FROM migration_provenance p JOIN migration_source s ON s.id = p.source_id
    WHERE p.seq = old.seq AND s.holds = 'queue'
  )
GROUP BY old.seq
"""
_WITHOUT_BYTES = """
SELECT count(DISTINCT p.seq) FROM migration_provenance p JOIN journal_ids j ON j.seq = p.seq
WHERE j.archived AND p.source_id IN (
    SELECT id FROM migration_source WHERE path IN (SELECT value FROM json_each(?)))
"""
_AUDIT = "INSERT INTO migration_audit (at_ms, action, subject, reason, detail) VALUES (?,?,?,?,?)"
_AUDITS = "SELECT at_ms, action, subject, reason, detail FROM migration_audit ORDER BY id"
_QUARANTINED_ROWS = """
SELECT source_row FROM migration_quarantine WHERE source_id = ? AND present
"""
_KNOWN = """
SELECT event_id, body_sha256 FROM event_journal
WHERE event_id IN (SELECT value FROM json_each(?))
"""


class StoredSource(NamedTuple):
    """What we remember of one source."""

    id: int
    path: str
    kind: str
    holds: str | None
    digest: str | None
    scope: str | None
    fingerprint: bytes | None
    stamp: str | None
    outcome: str | None
    reason: str | None
    remedy: str | None
    row_count: int
    body_uploads: int
    body_failures: int
    ignored_reason: str | None
    ignored_fingerprint: bytes | None


class Troubled(NamedTuple):
    """Rows of one source that are in conflict or quarantine, open and decided."""

    conflicts: int
    resolved: int
    quarantined: int
    accepted: int

    @property
    def decided(self) -> str | None:
        """Say what the operator decided; None when nothing."""
        parts = []
        if self.resolved:
            parts.append(f"{self.resolved} conflicts resolved")
        if self.accepted:
            parts.append(f"{self.accepted} quarantined rows accepted")
        return f"{', '.join(parts)}: they count as known" if parts else None


def is_ignored(path: Path, stored: StoredSource) -> bool:
    """Tell whether the operator ignores the source at *path*, and it has not changed since."""
    return (
        stored.ignored_fingerprint is not None
        and fingerprint_any(path) == stored.ignored_fingerprint
    )


class Audited(NamedTuple):
    """One decision of the operator; `at_ms` is epoch milliseconds."""

    at_ms: int
    action: str
    subject: str
    reason: str
    detail: str | None


class MigrationStore:
    """SQL of the migration tables; decides nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def source(self, path: str) -> StoredSource | None:
        """Return what is remembered of the source at *path*, None if nothing."""
        with self._store.reading() as conn:
            row = conn.execute(_SOURCE_BY_PATH, (path,)).fetchone()
        return StoredSource(*row) if row else None

    def recognise(self, source: LegacySource) -> tuple[LegacySource, StoredSource | None]:
        """Return *source* with what is remembered of it.

        One that was imported by name before needs no proper name any more.
        """
        stored = self.source(source.name)
        odd = source.problem is not None and source.problem.code == "odd_name"
        if odd and stored is not None and stored.fingerprint is not None:
            return replace(source, problem=None), stored
        return source, stored

    def links_to_imported(self, source: LegacySource) -> bool:
        """Tell whether *source* is a link to a file that was imported as it is now."""
        if source.problem is None or source.problem.code != "symlink":
            return False
        target = Path(os.path.realpath(source.path))
        stored = self.source(shown_path(target))
        return (
            stored is not None
            and stored.fingerprint is not None
            and fingerprint_any(target) == stored.fingerprint
        )

    def sources(self) -> tuple[StoredSource, ...]:
        with self._store.reading() as conn:
            return tuple(StoredSource(*row) for row in conn.execute(_SOURCES))

    def open_source(self, source: LegacySource) -> StoredSource:
        """Return the row of *source*, made if it is new."""
        with self._store.transaction() as conn:
            conn.execute(_ADD_SOURCE, (source.name, source.kind.value, source.digest))
        stored = self.source(source.name)
        assert stored is not None
        return stored

    def start_reading(self, source_id: int) -> None:
        """Forget which troubled rows the source still has; reading it tells again."""
        with self._store.transaction() as conn:
            for statement in _ABSENT:
                conn.execute(statement, (source_id,))

    def finish(self, stored: StoredSource) -> None:
        """Write every remembered field of a source that was read to its end."""
        with self._store.transaction() as conn:
            conn.execute(_FINISH_SOURCE, (stored.holds, *stored[5:14], stored.id))

    def set_scope(self, source_id: int, scope: str) -> None:
        with self._store.transaction() as conn:
            conn.execute(_SET_SCOPE, (scope, source_id))

    def ignore(self, source_id: int, reason: str | None, fingerprint: bytes | None) -> None:
        """Remember why a source is left alone; None for both takes it back."""
        with self._store.transaction() as conn:
            conn.execute(_IGNORE, (reason, fingerprint, source_id))

    def add_provenance(self, source_id: int, found: Iterable[tuple[int, Candidate]]) -> None:
        """Record that the event at each seq stood in this source; a second row changes nothing."""
        with self._store.transaction() as conn:
            conn.executemany(
                _PROVENANCE,
                (
                    (
                        seq,
                        source_id,
                        row.row,
                        row.queued_at,
                        row.retry_count,
                        event.coalesce_identity,
                        note,
                    )
                    for seq, (row, event, note) in found
                ),
            )

    def decided(self, event_id: str, body: bytes) -> str | None:
        """Return `settled` if the content of *body* was replaced in the journal or decided upon,
        `conflict` if it waits for a decision, None if it is new."""
        content = content_hash(body)
        with self._store.reading() as conn:
            found = conn.execute(_DECIDED, (event_id, content)).fetchone()
            replaced = conn.execute(_REPLACED_BODIES, (event_id,)).fetchall()
        if any(content_hash(old) == content for (old,) in replaced):
            return "settled"
        return found[0] if found else None

    def standing(self, path: str, row: LegacyRow, *, event_id: str | None) -> str | None:
        """Return what `decided` says of *row*; `quarantined` where its bytes are kept there."""
        body = row.body or b""
        asked = (path, row.row, hashlib.sha256(body).digest())
        with self._store.reading() as conn:
            found = conn.execute(_QUARANTINE_STANDING, asked).fetchone()
        if found:
            return str(found[0])
        return self.decided(event_id, body.removeprefix(BOM)) if event_id and body else None

    def add_conflict(self, source_id: int, candidate: Candidate, *, kind: str, now_ms: int) -> bool:
        """Record a divergent row with its bytes; False if it was resolved before."""
        with self._store.transaction() as conn:
            row = conn.execute(
                _CONFLICT,
                (
                    candidate.event.event_id,
                    source_id,
                    candidate.row.row,
                    candidate.event.body,
                    content_hash(candidate.event.body),
                    kind,
                    now_ms,
                ),
            ).fetchone()
        return bool(row[0])

    def add_quarantined(self, source_id: int, refused: Refused, *, now_ms: int) -> bool:
        """Record a row that cannot be imported, bytes included; False if it was accepted."""
        row = refused.row
        with self._store.transaction() as conn:
            found = conn.execute(
                _QUARANTINE,
                (
                    source_id,
                    row.row,
                    row.column_id,
                    row.body,
                    refused.sha256,
                    refused.reason,
                    refused.detail,
                    now_ms,
                ),
            ).fetchone()
        return bool(found[0])

    def troubled(self, source_id: int) -> Troubled:
        """Count the troubled rows that the source still has."""
        with self._store.reading() as conn:
            (conflicts, resolved), (quarantined, accepted) = conn.execute(
                _TROUBLED, (source_id,)
            ).fetchall()
        return Troubled(conflicts, resolved, quarantined, accepted)

    def undecided(self) -> int:
        """Return how many rows in conflict or quarantine wait for a decision."""
        with self._store.reading() as conn:
            return int(conn.execute(_UNDECIDED).fetchone()[0])

    def without_bytes(self, paths: Sequence[str]) -> int:
        """Return how many events of these sources the journal knows, but has no bytes of."""
        if not paths:
            return 0
        with self._store.reading() as conn:
            return int(conn.execute(_WITHOUT_BYTES, (json.dumps(list(paths)),)).fetchone()[0])

    def replaced(self) -> list[tuple[int, int]]:
        """Return (newer seq, older seq) of journal rows that a queue row replaced."""
        with self._store.reading() as conn:
            return conn.execute(_REPLACED).fetchall()

    def known(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the SHA-256 of the stored bytes for those *event_ids* that the journal holds."""
        with self._store.reading() as conn:
            return dict(conn.execute(_KNOWN, (json.dumps(list(event_ids)),)).fetchall())

    def audit(
        self, action: str, subject: str, *, reason: str, detail: str | None, now_ms: int
    ) -> None:
        with self._store.transaction() as conn:
            conn.execute(_AUDIT, (now_ms, action, subject, reason, detail))

    def audits(self) -> tuple[Audited, ...]:
        """Return every decision, oldest first."""
        with self._store.reading() as conn:
            return tuple(Audited(*row) for row in conn.execute(_AUDITS))

    def quarantined_rows(self, source_id: int) -> frozenset[int]:
        """Return the row numbers of a source that are kept in quarantine."""
        with self._store.reading() as conn:
            return frozenset(row[0] for row in conn.execute(_QUARANTINED_ROWS, (source_id,)))
