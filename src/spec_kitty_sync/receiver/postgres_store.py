"""The store of many workers: PostgreSQL."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psycopg import Connection

from spec_kitty_sync.receiver.decide import Known, NewEvent
from spec_kitty_sync.receiver.postgres_database import PostgresDatabase
from spec_kitty_sync.receiver.store import Identity, Page, StoredEvent, page_of

# One writer per scope: the order of `seq` is the order of commits, and two batches with the same
# ids cannot wait for each other. Locks are taken in one order everywhere, in one statement.
_LOCK_SCOPES = """
SELECT pg_advisory_xact_lock(hashtext('spec_kitty_sync.receiver.events'), scope_hash)
FROM (
    SELECT DISTINCT hashtext(scope) AS scope_hash FROM unnest(%s::text[]) AS scope
    ORDER BY scope_hash
) AS scopes
"""

_INSERT = """
INSERT INTO receiver_events
    (scope, event_id, event_type, project_uuid, mission, team, settles_at_ms, received_at_ms, body)
SELECT %s, event_id, event_type, project_uuid, mission, team, settles_at_ms, %s, body
FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::bytea[]
) WITH ORDINALITY AS
    new (event_id, event_type, project_uuid, mission, team, settles_at_ms, body, position)
ORDER BY position
ON CONFLICT (scope, event_id) DO NOTHING
RETURNING event_id
"""

_KNOWN = """
SELECT event_id, body, settles_at_ms FROM receiver_events
WHERE scope = %s AND event_id = ANY(%s)
"""

_EVENT = """
SELECT seq, event_id, received_at_ms, body FROM receiver_events
WHERE scope = ? AND event_id = ?
"""

_PAGE = """
SELECT seq, event_id, received_at_ms, body FROM receiver_events
WHERE scope = %s AND seq > %s ORDER BY seq LIMIT %s
"""

_PROJECT_PAGE = """
SELECT seq, event_id, received_at_ms, body FROM receiver_events
WHERE scope = %s AND project_uuid = %s AND seq > %s ORDER BY seq LIMIT %s
"""

_OF_TYPES = """
SELECT body FROM receiver_events
WHERE scope = ? AND event_type = ANY(?) ORDER BY seq
"""

_PROJECT_OF_TYPES = """
SELECT body FROM receiver_events
WHERE scope = ? AND project_uuid = ? AND event_type = ANY(?) ORDER BY seq
"""

_NEWEST = "SELECT body FROM receiver_events WHERE scope = ? ORDER BY seq DESC LIMIT 100"

_READ_IDENTITY = "SELECT server_instance_id, signing_secret FROM receiver_identity"

_NEW_IDENTITY = """
INSERT INTO receiver_identity (only_row, server_instance_id, signing_secret) VALUES (1, ?, ?)
ON CONFLICT DO NOTHING
"""

_FORGET = "TRUNCATE receiver_events, receiver_rejections"
_NEW_INSTANCE = "UPDATE receiver_identity SET server_instance_id = %s"

_ROWS_AT_ONCE = 64


class PostgresEventStore(PostgresDatabase):
    """An `EventStore` that any number of processes share; `add` is one transaction."""

    def open(self) -> Identity:
        self.connect()
        self.change(_NEW_IDENTITY, (str(uuid.uuid4()), secrets.token_bytes(32)))
        return self.identity()

    def identity(self) -> Identity:
        server_instance_id, signing_secret = self.rows(_READ_IDENTITY, ())[0]
        return Identity(server_instance_id, bytes(signing_secret))

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        scopes = {event.scope for batch in batches for event in batch}
        with self.transaction() as conn:
            conn.execute(_LOCK_SCOPES, (list(scopes),))
            return [_add_batch(conn, batch, now_ms) for batch in batches]

    def event(self, scope: str, event_id: str) -> StoredEvent | None:
        rows = self.rows(_EVENT, (scope, event_id))
        return StoredEvent(*rows[0]) if rows else None

    def page(self, scope: str, *, project_uuid: str | None, after: int, limit: int) -> Page:
        query: str = _PAGE if project_uuid is None else _PROJECT_PAGE
        named = (scope,) if project_uuid is None else (scope, project_uuid)
        # A cursor on the server: events are large, and the page may end early.
        with self.transaction() as conn, conn.cursor("page", binary=True) as cursor:
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(query, (*named, after, limit + 1))
            return page_of(cursor, limit)

    def bodies_of_types(
        self, scope: str, event_types: Collection[str], *, project_uuid: str | None
    ) -> list[bytes]:
        types = sorted(event_types)
        if project_uuid is None:
            rows = self.rows(_OF_TYPES, (scope, types))
        else:
            rows = self.rows(_PROJECT_OF_TYPES, (scope, project_uuid, types))
        return [row[0] for row in rows]

    def newest_clock(self, scope: str) -> int:
        rows = self.rows(_NEWEST, (scope,))
        return max((int(json.loads(row[0])["lamport_clock"]) for row in rows), default=0)

    def reset(self) -> Identity:
        with self.transaction() as conn:
            conn.execute(_FORGET)
            conn.execute(_NEW_INSTANCE, (str(uuid.uuid4()),))
        return self.identity()


def _add_batch(
    conn: Connection[tuple[Any, ...]], batch: Sequence[NewEvent], now_ms: int
) -> Mapping[str, Known]:
    """Insert *batch*; only when something was there already, look up what."""
    if not batch:
        return {}
    scope = batch[0].scope
    columns = zip(
        *(
            (
                each.event_id,
                each.event_type,
                each.project_uuid,
                each.mission,
                each.team,
                each.settles_at_ms,
                each.body,
            )
            for each in batch
        ),
        strict=True,
    )
    inserted = conn.execute(_INSERT, (scope, now_ms, *map(list, columns)))
    if inserted.rowcount == len(batch):
        return {}
    missing = {each.event_id for each in batch} - {row[0] for row in inserted}
    rows = conn.execute(_KNOWN, (scope, list(missing)), binary=True)
    return {event_id: Known(bytes(body), settles_at_ms) for event_id, body, settles_at_ms in rows}
