"""The store of one process: SQLite, WAL, synchronous=FULL."""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spec_kitty_sync._sqlite import Store
from spec_kitty_sync._sqlite_open import Synchronous, open_reader, open_store
from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.database import migration_steps
from spec_kitty_sync.receiver.decide import Known, NewEvent
from spec_kitty_sync.receiver.store import Identity, Page, StoredEvent, page_of

_LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM receiver_events"

_INSERT = """
INSERT INTO receiver_events
    (scope, event_id, event_type, project_uuid, mission, team, settles_at_ms, received_at_ms, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (scope, event_id) DO NOTHING
"""

_KNOWN = """
SELECT event_id, body, settles_at_ms FROM receiver_events
WHERE scope = ? AND event_id IN (SELECT value FROM json_each(?)) AND seq <= ?
"""

_EVENT = """
SELECT seq, event_id, received_at_ms, body FROM receiver_events
WHERE scope = ? AND event_id = ?
"""

_PAGE = """
SELECT seq, event_id, received_at_ms, body FROM receiver_events
WHERE scope = ? AND seq > ? ORDER BY seq LIMIT ?
"""

_PROJECT_PAGE = """
SELECT seq, event_id, received_at_ms, body FROM receiver_events
WHERE scope = ? AND project_uuid = ? AND seq > ? ORDER BY seq LIMIT ?
"""

_OF_TYPES = """
SELECT body FROM receiver_events
WHERE scope = ? AND event_type IN (SELECT value FROM json_each(?)) ORDER BY seq
"""

_PROJECT_OF_TYPES = """
SELECT body FROM receiver_events
WHERE scope = ? AND project_uuid = ? AND event_type IN (SELECT value FROM json_each(?))
ORDER BY seq
"""

_NEWEST_CLOCK = """
SELECT coalesce(max(clock), 0) FROM (
    SELECT CAST(body AS TEXT) ->> '$.lamport_clock' AS clock FROM receiver_events
    WHERE scope = ? ORDER BY seq DESC LIMIT 100
)
"""

_READ_IDENTITY = "SELECT server_instance_id, signing_secret FROM receiver_identity"

_NEW_IDENTITY = """
INSERT INTO receiver_identity (only_row, server_instance_id, signing_secret) VALUES (1, ?, ?)
ON CONFLICT DO NOTHING
"""

_FORGET_EVENTS = "DELETE FROM receiver_events"
_FORGET_REJECTIONS = "DELETE FROM receiver_rejections"
_FORGET_INSTANCE = "UPDATE receiver_identity SET server_instance_id = ?"


class SqliteEventStore:
    """An `EventStore` and `Database` in one file; `add` is one transaction, one fsync.

    With `synchronous="NORMAL"` a power cut loses acknowledged events: for tests only.
    """

    shared = False

    def __init__(self, path: Path, *, synchronous: Synchronous = "FULL") -> None:
        self._path = path
        self._synchronous = synchronous
        self._steps = migration_steps("sqlite")
        self._store: Store | None = None
        self._one_writer = threading.Lock()
        self._file = (0, 0)

    def open(self) -> Identity:
        self._store = open_store(
            self._path, self._steps, synchronous=self._synchronous, any_thread=True
        )
        self._file = self._named_file()
        with self._writing() as conn:
            return _identity(conn)

    def identity(self) -> Identity:
        return Identity(*self.rows(_READ_IDENTITY, ())[0])

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        with self._writing() as conn:
            return [_add_batch(conn, batch, now_ms) for batch in batches]

    def event(self, scope: str, event_id: str) -> StoredEvent | None:
        rows = self.rows(_EVENT, (scope, event_id))
        return StoredEvent(*rows[0]) if rows else None

    def page(self, scope: str, *, project_uuid: str | None, after: int, limit: int) -> Page:
        with self._reading() as conn:
            if project_uuid is None:
                rows = conn.execute(_PAGE, (scope, after, limit + 1))
            else:
                rows = conn.execute(_PROJECT_PAGE, (scope, project_uuid, after, limit + 1))
            return page_of(rows, limit)

    def bodies_of_types(
        self, scope: str, event_types: Collection[str], *, project_uuid: str | None
    ) -> list[bytes]:
        types = json.dumps(sorted(event_types))
        values = (scope, types) if project_uuid is None else (scope, project_uuid, types)
        query = _OF_TYPES if project_uuid is None else _PROJECT_OF_TYPES
        return [row[0] for row in self.rows(query, values)]

    def newest_clock(self, scope: str) -> int:
        rows = self.rows(_NEWEST_CLOCK, (scope,))
        return int(rows[0][0])

    def rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._reading() as conn:
            return conn.execute(query, values).fetchall()

    def change(self, query: str, values: Sequence[Any]) -> int:
        with self._writing() as conn:
            return conn.execute(query, values).rowcount

    def change_many(self, query: str, many: Sequence[Sequence[Any]]) -> None:
        with self._writing() as conn:
            conn.executemany(query, many)

    def close(self) -> None:
        # A connection that is closed under a writing thread takes the whole process down.
        with self._one_writer:
            if self._store is not None:
                self._store.close()
                self._store = None

    def reset(self) -> Identity:
        with self._writing() as conn:
            conn.execute(_FORGET_EVENTS)
            conn.execute(_FORGET_REJECTIONS)
            conn.execute(_FORGET_INSTANCE, (str(uuid.uuid4()),))
            return _identity(conn)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._one_writer, self._opened().transaction() as conn:
            yield conn

    def _opened(self) -> Store:
        if self._store is None:
            raise StoreError(f"{self._path} is not open")
        if self._named_file() != self._file:
            # What we would write now nobody could ever read.
            raise StoreError(f"{self._path} was removed or replaced; start the receiver again")
        return self._store

    def _named_file(self) -> tuple[int, int]:
        """Return device and inode of the file that the path names; zeros for none."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_dev, found.st_ino)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Open a connection of its own for reading, so that no reader waits for the writer."""
        reader = open_reader(self._path, self._steps)
        if reader is None:
            raise StoreError(f"{self._path} is gone")
        with reader, reader.reading() as conn:
            yield conn


def _add_batch(
    conn: sqlite3.Connection, batch: Sequence[NewEvent], now_ms: int
) -> Mapping[str, Known]:
    """Insert *batch*; only when something was there already, look up what."""
    last_seq = conn.execute(_LAST_SEQ).fetchone()[0]
    inserted = conn.executemany(
        _INSERT,
        [
            (
                event.scope,
                event.event_id,
                event.event_type,
                event.project_uuid,
                event.mission,
                event.team,
                event.settles_at_ms,
                now_ms,
                event.body,
            )
            for event in batch
        ],
    ).rowcount
    if not batch or inserted == len(batch):
        return {}
    ids = json.dumps([event.event_id for event in batch])
    rows = conn.execute(_KNOWN, (batch[0].scope, ids, last_seq))
    return {event_id: Known(body, settles_at_ms) for event_id, body, settles_at_ms in rows}


def _identity(conn: sqlite3.Connection) -> Identity:
    conn.execute(_NEW_IDENTITY, (str(uuid.uuid4()), secrets.token_bytes(32)))
    return Identity(*conn.execute(_READ_IDENTITY).fetchone())
