"""The append-only store of whole envelopes (CONTRACT 6, Journal).

It knows what happened and nothing of who has been told; that comes in as `DeliveryFacts`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._json import canonical_hash
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.errors import EventConflictError, JsonError
from spec_kitty_sync.event_journal.counting import (
    CountGroup,
    NewRow,
    add_rows,
    oldest_retained,
    read_groups,
    shift_rows,
)
from spec_kitty_sync.event_journal.models import (
    Appended,
    AppendReceipt,
    AppendResult,
    DeliveryFacts,
    JournalRecord,
    NothingDelivered,
)
from spec_kitty_sync.events.admission import Admitted

_INSERT = """
INSERT OR IGNORE INTO event_journal (
    event_id, event_type, tier, team, hold, body_bytes, appended_at_ms, occurred_at, project_uuid,
    lamport_clock, coalesce_identity, hold_detail, body_sha256, body
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A statement of many rows spares SQLite the bookkeeping that AUTOINCREMENT costs per statement.
_BLOCK = 20
_INSERT_BLOCK = _INSERT + ", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)" * (_BLOCK - 1)
_IDENTITY = """
SELECT seq, body_sha256, canonical_hash, body FROM event_journal WHERE event_id = ?
"""
_TOP = "SELECT coalesce(max(seq), 0) FROM event_journal"
_COALESCIBLE = """
SELECT seq FROM event_journal
WHERE coalesce_identity = ? AND superseded_by IS NULL AND removed IS NULL AND seq < ?
"""
_SUPERSEDE = """
UPDATE event_journal SET superseded_by = ?
WHERE seq IN (SELECT value FROM json_each(?)) AND superseded_by IS NULL AND body IS NOT NULL
"""
_COLUMNS = """
seq, event_id, event_type, body, body_sha256, body_bytes, appended_at_ms, occurred_at, tier, team,
project_uuid, lamport_clock, hold, hold_detail, superseded_by, removed, removed_at_ms
"""
_BY_ID = f"SELECT {_COLUMNS} FROM event_journal WHERE event_id = ?"  # noqa: S608  (constant)
_AFTER = f"SELECT {_COLUMNS} FROM event_journal WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608  (constant)
_BODIES = """
SELECT seq, event_id, body, body_sha256 FROM event_journal
WHERE seq IN (SELECT value FROM json_each(?)) AND body IS NOT NULL ORDER BY seq
"""
_HIGHEST_CLOCK = """
SELECT coalesce(max(iif(lamport_clock <= ?2, lamport_clock, 0)), 0), coalesce(max(seq), 0)
FROM event_journal WHERE seq > ?1
"""
_CHUNK = 1000
_NO_TOP = 2**63  # nothing was inserted: whatever is found was there before


def content_hash(body: bytes) -> bytes:
    """Return the hash of the canonical content; of the bytes where they are not strict JSON."""
    try:
        return canonical_hash(body)
    except JsonError:
        return hashlib.sha256(body).digest()


class SqliteJournal:
    """The journal of one home. All methods run on the thread that opened the store."""

    def __init__(
        self, store: Store, *, clock: Clock, delivery: DeliveryFacts | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._delivery = delivery or NothingDelivered()

    def append(self, event: Admitted) -> AppendReceipt:
        """Store *event* once and return where it stands.

        Durable when it returns, unless the caller holds a transaction open: then with its
        commit. The same id with the same canonical content is a no-op.

        Raises:
            EventConflictError: the id is stored with other content.
            StoreFullError, StoreBusyError: nothing was written.
            StoreUncertainError: the commit may or may not have reached the disk.
        """
        with self._store.transaction() as conn:
            cursor = conn.execute(_INSERT, _row(event, self._clock.now_ms()))
            if cursor.rowcount == 1:
                seq = cursor.lastrowid or 0
                add_rows(conn, [_counted(event, seq)])
                if event.coalesce_identity is not None:
                    self._supersede_older(conn, event.coalesce_identity, seq)
                return AppendReceipt(seq, event.event_id, inserted=True)
            known = _settle(conn, event, _NO_TOP, set())
        if known.outcome is Appended.CONFLICT:
            raise EventConflictError(
                f"event {event.event_id} is stored with other content", event_id=event.event_id
            )
        return AppendReceipt(known.seq, event.event_id, inserted=False)

    def append_many(
        self, events: Iterable[Admitted], *, coalesce: bool = True
    ) -> tuple[AppendResult, ...]:
        """Store all *events* in one transaction; one result each, in the given order.

        An id that is stored with other content is reported as CONFLICT and changes nothing.
        Without *coalesce* older events of the same identity stay selected: imported ones come
        in no particular order.
        """
        results: list[AppendResult] = []
        source = iter(events)
        with self._store.transaction() as conn:
            while chunk := list(islice(source, _CHUNK)):
                answers = self._insert(conn, chunk)
                _count(conn, chunk, answers)
                if coalesce:
                    self._coalesce(conn, chunk, answers)
                results.extend(answers)
        return tuple(results)

    def _insert(self, conn: sqlite3.Connection, chunk: list[Admitted]) -> list[AppendResult]:
        now_ms = self._clock.now_ms()
        top = conn.execute(_TOP).fetchone()[0]
        done = _insert_rows(conn, [_row(event, now_ms) for event in chunk])
        if done == len(chunk):
            first = conn.execute(_TOP).fetchone()[0] - done + 1
            return [
                AppendResult(event.event_id, seq, Appended.INSERTED)
                for seq, event in enumerate(chunk, first)
            ]
        seen: set[int] = set()
        return [_settle(conn, event, top, seen) for event in chunk]

    def _coalesce(
        self, conn: sqlite3.Connection, chunk: list[Admitted], answers: list[AppendResult]
    ) -> None:
        """Mark older events of the same identity superseded, if nobody was told of them."""
        for event, answer in zip(chunk, answers, strict=True):
            if event.coalesce_identity is not None and answer.outcome is Appended.INSERTED:
                self._supersede_older(conn, event.coalesce_identity, answer.seq)

    def _supersede_older(self, conn: sqlite3.Connection, identity: str, seq: int) -> None:
        older = [row[0] for row in conn.execute(_COALESCIBLE, (identity, seq))]
        if older:
            self.supersede(older, by=seq)

    def supersede(self, older: Sequence[int], *, by: int) -> int:
        """Mark those of *older* that nobody was told of as replaced by row *by*; return how many.

        A row that is superseded already stays as it is.
        """
        with self._store.transaction() as conn:
            free = sorted(self._delivery.untouched(older))
            self.shift_counts(conn, free, -1)
            changed = conn.execute(_SUPERSEDE, (by, json.dumps(free))).rowcount
            self.shift_counts(conn, free, +1)
        return changed

    def shift_counts(self, conn: sqlite3.Connection, seqs: Sequence[int], sign: int) -> None:
        """Take the rows *seqs* out of the counts (-1) or put them in (+1)."""
        shift_rows(conn, seqs, sign)

    def standing(self, event: Admitted) -> Appended | None:
        """Tell how appending *event* would end, SAME or CONFLICT; None if its id is new."""
        same = self.same_content(event.event_id, event.body)
        if same is None:
            return None
        return Appended.SAME if same else Appended.CONFLICT

    def get(self, event_id: str) -> JournalRecord | None:
        """Return the row of *event_id*, or None."""
        with self._store.reading() as conn:
            row = conn.execute(_BY_ID, (event_id,)).fetchone()
        return JournalRecord(*row) if row else None

    def same_content(self, event_id: str, body: bytes) -> bool | None:
        """Tell whether *body* says what is stored under *event_id*; None if nothing is."""
        with self._store.reading() as conn:
            found = conn.execute(_IDENTITY, (event_id,)).fetchone()
        if found is None:
            return None
        _, sha256, stored_hash, stored = found
        if sha256 == hashlib.sha256(body).digest():
            return True
        return bool((stored_hash or content_hash(stored)) == content_hash(body))

    def read(self, *, after: int = 0) -> Iterator[JournalRecord]:
        """Yield all rows with seq > *after* in order, a thousand at a time."""
        while True:
            with self._store.reading() as conn:
                rows = conn.execute(_AFTER, (after, _CHUNK)).fetchall()
            if not rows:
                return
            for row in rows:
                yield JournalRecord(*row)
            after = rows[-1][0]

    def bodies(self, seqs: Sequence[int]) -> list[tuple[int, str, bytes, bytes]]:
        """Return (seq, event_id, body, body_sha256) of those *seqs* whose body is kept."""
        with self._store.reading() as conn:
            return conn.execute(_BODIES, (json.dumps(list(seqs)),)).fetchall()

    def counts(self) -> tuple[CountGroup, ...]:
        """Return the maintained counts, one group for each combination of markers."""
        return read_groups(self._store)

    def oldest_retained(self) -> tuple[str | None, int] | None:
        """Return (occurred_at, appended_at_ms) of the oldest event whose body is kept."""
        return oldest_retained(self._store)

    def highest_clock(self, after: int = 0, *, limit: int = 2**63 - 1) -> tuple[int, int]:
        """Return (highest Lamport clock up to *limit*, highest seq) of rows with seq > *after*."""
        with self._store.reading() as conn:
            clock, seq = conn.execute(_HIGHEST_CLOCK, (after, limit)).fetchone()
        return int(clock), int(seq)


def _counted(event: Admitted, seq: int) -> NewRow:
    return seq, event.tier == 0, event.team or "", event.hold or "", len(event.body)


def _count(conn: sqlite3.Connection, chunk: list[Admitted], answers: list[AppendResult]) -> None:
    add_rows(
        conn,
        (
            _counted(event, answer.seq)
            for event, answer in zip(chunk, answers, strict=True)
            if answer.outcome is Appended.INSERTED
        ),
    )


def _insert_rows(conn: sqlite3.Connection, rows: list[tuple[object, ...]]) -> int:
    """Insert *rows* in order, passing over known ids; return how many are new."""
    whole = len(rows) - len(rows) % _BLOCK
    done = sum(
        conn.execute(_INSERT_BLOCK, list(chain.from_iterable(rows[at : at + _BLOCK]))).rowcount
        for at in range(0, whole, _BLOCK)
    )
    return done + max(0, conn.executemany(_INSERT, rows[whole:]).rowcount)


def _row(event: Admitted, now_ms: int) -> tuple[object, ...]:
    body = event.body
    return (
        event.event_id,
        event.event_type,
        event.tier,
        event.team,
        event.hold,
        len(body),
        now_ms,
        event.occurred_at,
        event.project_uuid,
        event.lamport_clock,
        event.coalesce_identity,
        event.hold_detail,
        hashlib.sha256(body).digest(),
        body,
    )


def _settle(conn: sqlite3.Connection, event: Admitted, top: int, seen: set[int]) -> AppendResult:
    """Tell whether *event* was just inserted (seq > *top*), was there, or conflicts."""
    seq, sha256, stored_hash, body = conn.execute(_IDENTITY, (event.event_id,)).fetchone()
    if sha256 == hashlib.sha256(event.body).digest():
        new = seq > top and seq not in seen
        seen.add(seq)
        return AppendResult(event.event_id, seq, Appended.INSERTED if new else Appended.SAME)
    known = stored_hash or content_hash(body)
    same = known == content_hash(event.body)
    return AppendResult(event.event_id, seq, Appended.SAME if same else Appended.CONFLICT)
