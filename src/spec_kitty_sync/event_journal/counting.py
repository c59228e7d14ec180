"""The maintained counts of the journal: how many rows stand where, and how large they are.

Kept per block of sequence numbers in the transactions that change the rows, so that "how many
behind this mark" is answered by adding up blocks and looking at one.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spec_kitty_sync._sqlite import Store

BLOCK = 8192

_ADD = """
INSERT INTO event_journal_count VALUES (?, ?, ?, ?, 0, '', ?, ?)
ON CONFLICT DO UPDATE SET events = events + excluded.events, bytes = bytes + excluded.bytes
"""
_SHIFT = """
INSERT INTO event_journal_count
SELECT seq / ?3, tier = 0, coalesce(team, ''), coalesce(hold, ''), superseded_by IS NOT NULL,
       coalesce(removed, ''), count(*) * ?1, sum(body_bytes) * ?1
FROM event_journal WHERE seq IN (SELECT value FROM json_each(?2))
GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT DO UPDATE SET events = events + excluded.events, bytes = bytes + excluded.bytes
"""
_FORGET = "DELETE FROM event_journal_count"
_RECOUNT = """
INSERT INTO event_journal_count
SELECT seq / ?, tier = 0, coalesce(team, ''), coalesce(hold, ''), superseded_by IS NOT NULL,
       coalesce(removed, ''), count(*), sum(body_bytes)
FROM event_journal GROUP BY 1, 2, 3, 4, 5, 6
"""
_PRUNE = "DELETE FROM event_journal_count WHERE events = 0"
_GROUPS = """
SELECT local_only, team, hold, superseded, removed, sum(events), sum(bytes)
FROM event_journal_count WHERE block >= ? GROUP BY 1, 2, 3, 4, 5
"""
# Mirrors `barrier_of` of the wiring: blocks with events that nothing keeps here.
_BLOCKS_WITH_FREE = """
SELECT DISTINCT block FROM event_journal_count
WHERE block >= :from_block AND NOT local_only AND hold = '' AND NOT superseded AND removed = ''
  AND (team = '' OR :team IS NULL OR team = :team) AND events > 0
ORDER BY block LIMIT :n
"""
_OLDEST = """
SELECT occurred_at, appended_at_ms FROM event_journal
WHERE seq >= (SELECT seq FROM event_journal_mark WHERE name = 'first_kept') AND body IS NOT NULL
ORDER BY seq LIMIT 1
"""
_NEWEST = "SELECT appended_at_ms FROM event_journal ORDER BY seq DESC LIMIT 1"
_APPENDED_AT = "SELECT appended_at_ms FROM event_journal WHERE seq >= ? ORDER BY seq LIMIT 1"
_TYPES = """
SELECT event_type, count(*) FROM event_journal
WHERE seq IN (SELECT value FROM json_each(?)) GROUP BY event_type ORDER BY 2 DESC, 1
"""
_MISCOUNTED = """
SELECT block, hold, removed, sum(events), sum(found), sum(bytes), sum(size)
FROM (SELECT block, local_only, team, hold, superseded, removed, events, bytes,
             0 AS found, 0 AS size FROM event_journal_count
      UNION ALL
      SELECT seq / ?, tier = 0, coalesce(team, ''), coalesce(hold, ''), superseded_by IS NOT NULL,
             coalesce(removed, ''), 0, 0, count(*), sum(body_bytes)
      FROM event_journal GROUP BY 1, 2, 3, 4, 5, 6)
GROUP BY block, local_only, team, hold, superseded, removed
HAVING sum(events) <> sum(found) OR sum(bytes) <> sum(size)
"""


class CountGroup(NamedTuple):
    """How many rows share one combination of markers; `bytes` sums their bodies' sizes."""

    local_only: bool
    team: str | None
    hold: str | None
    superseded: bool
    removed: str | None
    events: int
    bytes: int


NewRow = tuple[int, bool, str, str, int]
"""What the counts must know of an inserted row: seq, local only, team, hold ('' for none), size."""


def add_rows(conn: sqlite3.Connection, rows: Iterable[NewRow]) -> None:
    """Count inserted *rows*, in the transaction that inserts them."""
    sizes: dict[tuple[int, bool, str, str], list[int]] = {}
    for seq, local_only, team, hold, size in rows:
        sizes.setdefault((seq // BLOCK, local_only, team, hold), []).append(size)
    conn.executemany(_ADD, [(*key, len(found), sum(found)) for key, found in sizes.items()])


def shift_rows(conn: sqlite3.Connection, seqs: Sequence[int], sign: int) -> None:
    """Take the rows *seqs* out of the counts (-1) or put them in (+1)."""
    conn.execute(_SHIFT, (sign, json.dumps(list(seqs)), BLOCK))
    if sign > 0:
        conn.execute(_PRUNE)


def recount(conn: sqlite3.Connection) -> None:
    """Count every row anew, in the caller's transaction."""
    conn.execute(_FORGET)
    conn.execute(_RECOUNT, (BLOCK,))


def read_groups(store: Store, *, from_block: int = 0) -> tuple[CountGroup, ...]:
    """Return the counts of every block from *from_block* on, one group per set of markers."""
    with store.reading() as conn:
        return tuple(
            CountGroup(bool(lo), team or None, hold or None, bool(sup), removed or None, n, size)
            for lo, team, hold, sup, removed, n, size in conn.execute(_GROUPS, (from_block,))
        )


def blocks_with_free(store: Store, team: str | None, *, from_block: int, n: int) -> tuple[int, ...]:
    """Return the first *n* blocks that hold events which may leave, to *team* (None for any)."""
    with store.reading() as conn:
        where = {"team": team, "from_block": from_block, "n": n}
        return tuple(row[0] for row in conn.execute(_BLOCKS_WITH_FREE, where))


def find_miscounts(store: Store) -> list[str]:
    """Return one sentence for each count that differs from its rows; reads every row."""
    with store.reading() as conn:
        return [
            f"journal from event {block * BLOCK} on, {hold or removed or 'kept'}: "
            f"{found} events with {size} bytes are there, {events} with {counted} are counted"
            for block, hold, removed, events, found, counted, size in conn.execute(
                _MISCOUNTED, (BLOCK,)
            )
        ]


def oldest_retained(store: Store) -> tuple[str | None, int] | None:
    """Return (occurred_at, appended_at_ms) of the oldest event whose body is kept."""
    with store.reading() as conn:
        row = conn.execute(_OLDEST).fetchone()
    return (row[0], row[1]) if row else None


def newest_appended_at(store: Store) -> int | None:
    """Return when the last event was appended (epoch milliseconds), None for an empty journal."""
    with store.reading() as conn:
        row = conn.execute(_NEWEST).fetchone()
    return int(row[0]) if row else None


def appended_at(store: Store, seq: int) -> int | None:
    """Return when the event *seq*, or the next one, was appended (epoch milliseconds)."""
    with store.reading() as conn:
        row = conn.execute(_APPENDED_AT, (seq,)).fetchone()
    return int(row[0]) if row else None


def types_of(store: Store, seqs: Sequence[int]) -> tuple[tuple[str, int], ...]:
    """Return (event type, how many) of the rows *seqs*, the most frequent first."""
    with store.reading() as conn:
        return tuple(conn.execute(_TYPES, (json.dumps(list(seqs)),)).fetchall())
