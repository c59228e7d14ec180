"""What may change beside an event, or instead of it: holds, replacement, discard (CONTRACT 6)."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.errors import ContractError, EventConflictError, InvalidEventError
from spec_kitty_sync.event_journal.journal import SqliteJournal, content_hash
from spec_kitty_sync.event_journal.models import (
    AuditEntry,
    DeliveryFacts,
    JournalRecord,
    Removal,
)
from spec_kitty_sync.events.admission import Admitted

_SET_HOLD = """
UPDATE event_journal SET hold = ?, hold_detail = ?
WHERE seq IN (SELECT value FROM json_each(?)) AND body IS NOT NULL
"""
_SEQS = "SELECT seq FROM event_journal WHERE event_id IN (SELECT value FROM json_each(?))"
_REPLACE = """
UPDATE event_journal SET event_type = ?, body = ?, body_sha256 = ?, canonical_hash = NULL,
    body_bytes = ?, occurred_at = ?, tier = ?, team = ?, project_uuid = ?,
    lamport_clock = ?, coalesce_identity = ?, hold = NULL, hold_detail = NULL
WHERE seq = ?
"""
_DISCARD = """
UPDATE event_journal SET body = NULL, canonical_hash = ?, removed = ?, removed_at_ms = ?,
    hold = NULL, hold_detail = NULL
WHERE seq = ?
"""
_AUDIT = """
INSERT INTO event_journal_audit (seq, action, reason, at_ms, old_body, old_sha256)
VALUES (?, ?, ?, ?, ?, ?)
"""
_AUDITS = """
SELECT a.seq, j.event_id, a.action, a.reason, a.at_ms, a.old_body
FROM event_journal_audit a JOIN event_journal j ON j.seq = a.seq ORDER BY a.id
"""


class Corrections:
    """Changes that an operator asks for by name; each leaves an audit row where bytes change."""

    def __init__(
        self, store: Store, journal: SqliteJournal, *, delivery: DeliveryFacts, clock: Clock
    ) -> None:
        self._store = store
        self._journal = journal
        self._delivery = delivery
        self._clock = clock

    def hold(self, event_ids: Sequence[str], reason: str, detail: str | None = None) -> int:
        """Keep *event_ids* from leaving, for *reason*; return how many are held.

        An event that a target has accepted is left as it is, and so is every ledger row: the next
        drain meets the mark.
        """
        with self._store.transaction() as conn:
            seqs = sorted(self._delivery.unaccepted(_seqs(conn, event_ids)))
            self._mark(conn, seqs, reason, detail)
        return len(seqs)

    def release(self, event_ids: Sequence[str]) -> int:
        """Let *event_ids* leave again; return how many."""
        with self._store.transaction() as conn:
            seqs = _seqs(conn, event_ids)
            self._mark(conn, seqs, None, None)
            self._delivery.reopen(seqs, held_only=True)
        return len(seqs)

    def _mark(
        self, conn: sqlite3.Connection, seqs: Sequence[int], hold: str | None, detail: str | None
    ) -> None:
        self._journal.shift_counts(conn, seqs, -1)
        conn.execute(_SET_HOLD, (hold, detail, json.dumps(list(seqs))))
        self._journal.shift_counts(conn, seqs, +1)

    def replace(self, event: Admitted, *, reason: str) -> JournalRecord:
        """Put the bytes of *event* in place of those stored under its id.

        The old bytes go to the audit table and the ledger rows open again.

        Raises:
            ContractError: the id is not stored, its bytes are gone, or the new bytes are held.
            EventConflictError: a target has accepted the stored bytes, or may have.
        """
        if event.hold is not None:
            raise InvalidEventError(
                f"the replacement cannot leave either: {event.hold}: {event.hold_detail}",
                event_id=event.event_id,
            )
        with self._store.transaction() as conn:
            old = self._changeable(event.event_id, "replaced")
            self._journal.shift_counts(conn, [old.seq], -1)
            conn.execute(_REPLACE, (*_replacement(event), old.seq))
            self._journal.shift_counts(conn, [old.seq], +1)
            now_ms = self._clock.now_ms()
            conn.execute(_AUDIT, (old.seq, "replace", reason, now_ms, old.body, old.body_sha256))
            self._delivery.reopen([old.seq])
        record = self._journal.get(event.event_id)
        assert record is not None
        return record

    def discard(self, event_id: str, *, reason: str) -> JournalRecord:
        """Remove the bytes of an event that was never delivered; row and audit stay.

        Raises:
            ContractError: the id is not stored or its bytes are gone already.
            EventConflictError: a target has accepted it, or may have.
        """
        with self._store.transaction() as conn:
            old = self._changeable(event_id, "discarded")
            assert old.body is not None
            now_ms = self._clock.now_ms()
            self._journal.shift_counts(conn, [old.seq], -1)
            conn.execute(
                _DISCARD, (content_hash(old.body), Removal.DISCARDED.value, now_ms, old.seq)
            )
            self._journal.shift_counts(conn, [old.seq], +1)
            conn.execute(_AUDIT, (old.seq, "discard", reason, now_ms, None, old.body_sha256))
            self._delivery.reopen([old.seq])
        return old

    def audit(self) -> tuple[AuditEntry, ...]:
        """Return every correction and removal asked for by name, oldest first."""
        with self._store.reading() as conn:
            return tuple(AuditEntry(*row) for row in conn.execute(_AUDITS))

    def _changeable(self, event_id: str, verb: str) -> JournalRecord:
        record = self._journal.get(event_id)
        if record is None:
            raise ContractError(
                f"event {event_id} is not in the journal",
                remedy="Check the id with `spec-kitty sync show EVENT_ID`.",
            )
        if record.body is None:
            raise ContractError(
                f"event {event_id} cannot be {verb}: its bytes were {record.removed}",
                remedy="Nothing is left to change; its row and history stay.",
            )
        objection = self._delivery.objection(record.seq)
        if objection is not None:
            reason, remedy = objection
            raise EventConflictError(f"event {event_id} cannot be {verb}: {reason}", remedy=remedy)
        return record


def _seqs(conn: sqlite3.Connection, event_ids: Sequence[str]) -> list[int]:
    return [row[0] for row in conn.execute(_SEQS, (json.dumps(list(event_ids)),))]


def _replacement(event: Admitted) -> tuple[object, ...]:
    return (
        event.event_type,
        event.body,
        hashlib.sha256(event.body).digest(),
        len(event.body),
        event.occurred_at,
        event.tier,
        event.team,
        event.project_uuid,
        event.lamport_clock,
        event.coalesce_identity,
    )
