"""What a backup lacks, taken from the journal that it is to replace (CONTRACT 6, Retention).

Rows are copied as they stand: their bytes, what was decided about them, and that they are gone.
Both databases are the caller's alone.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import NamedTuple

from spec_kitty_sync.event_journal.counting import recount

_STANDING = "SELECT seq, event_id, hold, hold_detail FROM event_journal ORDER BY seq"
_KNOWN = "SELECT hold, hold_detail FROM event_journal WHERE event_id = ?"
_SET_HOLD = """
UPDATE event_journal SET hold = ?2, hold_detail = ?3 WHERE event_id = ?1 AND body IS NOT NULL
"""
_ROWS = """
SELECT event_id, event_type, tier, team, hold, removed, body_bytes, appended_at_ms, occurred_at,
       project_uuid, lamport_clock, coalesce_identity, hold_detail, removed_at_ms, body_sha256,
       canonical_hash, body
FROM event_journal WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq
"""
_ADD = """
INSERT INTO event_journal (
    event_id, event_type, tier, team, hold, removed, body_bytes, appended_at_ms, occurred_at,
    project_uuid, lamport_clock, coalesce_identity, hold_detail, removed_at_ms, body_sha256,
    canonical_hash, body
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CORRECT = """
UPDATE event_journal SET (
    event_type, tier, team, hold, removed, body_bytes, appended_at_ms, occurred_at, project_uuid,
    lamport_clock, coalesce_identity, hold_detail, removed_at_ms, body_sha256, canonical_hash, body
) = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
WHERE event_id = ?1 AND body IS NOT NULL
"""
_AUDITS = """
SELECT a.seq, j.event_id, a.action, a.reason, a.at_ms, a.old_body, a.old_sha256
FROM event_journal_audit a JOIN event_journal j ON j.seq = a.seq ORDER BY a.id
"""
_ADD_AUDIT = """
INSERT INTO event_journal_audit (seq, action, reason, at_ms, old_body, old_sha256)
SELECT seq, ?2, ?3, ?4, ?5, ?6 FROM event_journal j
WHERE event_id = ?1
  AND NOT EXISTS (SELECT 1 FROM event_journal_audit a
                  WHERE a.seq = j.seq AND a.action = ?2 AND a.at_ms = ?4 AND a.old_sha256 IS ?6)
"""
_SUPERSEDED = """
SELECT older.event_id, newer.event_id FROM event_journal older
JOIN event_journal newer ON newer.seq = older.superseded_by
"""
_SUPERSEDE = """
UPDATE event_journal SET superseded_by = (SELECT seq FROM event_journal WHERE event_id = ?2)
WHERE event_id = ?1 AND superseded_by IS NULL
"""


class Merged(NamedTuple):
    """How many events were added, and how many known ones stay replaced or discarded."""

    added: int
    replaced: int
    discarded: int


def merge_newer(draft: sqlite3.Connection, live: sqlite3.Connection) -> Merged:
    """Bring *draft*, a copy of a backup, up to what was appended and decided in *live* since.

    New rows get new sequence numbers, in their order; one whose bytes are gone keeps its id from
    being free again. In the caller's transaction.
    """
    newer = []
    for seq, event_id, *hold in live.execute(_STANDING):
        known = draft.execute(_KNOWN, (event_id,)).fetchone()
        if known is None:
            newer.append(seq)
        elif known != tuple(hold):
            draft.execute(_SET_HOLD, (event_id, *hold))
    draft.executemany(_ADD, live.execute(_ROWS, (json.dumps(newer),)))
    corrected = _merge_corrections(draft, live, added=frozenset(newer))
    draft.executemany(_SUPERSEDE, live.execute(_SUPERSEDED))
    recount(draft)
    actions = Counter(corrected.values())
    return Merged(len(newer), actions["replace"], actions["discard"])


def _merge_corrections(
    draft: sqlite3.Connection, live: sqlite3.Connection, *, added: frozenset[int]
) -> dict[int, str]:
    """Repeat what was replaced and discarded; return seq in *live* → last action of known ones."""
    corrected: dict[int, str] = {}
    for seq, *audit in live.execute(_AUDITS):
        if draft.execute(_ADD_AUDIT, audit).rowcount and seq not in added:
            corrected[seq] = audit[1]
    draft.executemany(_CORRECT, live.execute(_ROWS, (json.dumps(list(corrected)),)))
    return corrected
