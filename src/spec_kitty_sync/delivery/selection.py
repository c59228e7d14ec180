"""Which events go next: open rows and new events in journal order, then due retries.

Each selection reads as many rows as it returns, whatever the journal's size. The filters of
CONTRACT 6 (tier, team, holds) stand in the statements, in the view `delivery_candidates`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.runs import Run

# A stretch of events that stay here is passed in transactions of at most so many rows.
WINDOW = 10_000
_FRAME_BYTES = len(b'{"events":[]}')

_TOP = "SELECT seq FROM journal_ids ORDER BY seq DESC LIMIT 1"
_NEW = """
SELECT c.seq, c.bytes, 0 FROM delivery_candidates c
WHERE c.target_id = :target_id AND c.seq > :after AND c.seq <= :upto AND c.barrier IS NULL
  AND (c.seq > (SELECT coalesce(max(seq), 0) FROM delivery_ledger
                WHERE target_id = :target_id AND epoch = :epoch)
       OR NOT EXISTS (SELECT 1 FROM delivery_ledger l
                      WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.seq = c.seq))
ORDER BY c.seq LIMIT :n
"""
_OPEN = """
SELECT l.seq, c.bytes, c.barrier
FROM delivery_ledger l INDEXED BY delivery_ledger_open
CROSS JOIN delivery_candidates c ON c.target_id = l.target_id AND c.seq = l.seq
WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.state = 'open' AND l.seq > :after
ORDER BY l.seq LIMIT :n
"""
_DUE = """
SELECT l.seq, c.bytes, c.barrier, l.not_before
FROM delivery_ledger l INDEXED BY delivery_ledger_due
CROSS JOIN delivery_candidates c ON c.target_id = l.target_id AND c.seq = l.seq
WHERE l.target_id = :target_id AND l.epoch = :epoch
  AND l.state IN ('pending', 'transient', 'rejected')
  AND l.not_before <= :run_at AND (l.not_before, l.seq) > (:after_time, :after)
ORDER BY l.not_before, l.seq LIMIT :n
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold: events, and bytes of its uncompressed body."""

    events: int = 1000
    body_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Selected:
    """The events of one batch in journal order.

    `passes` is the seq that the mark may move to once the batch is settled; `held` are rows that
    were open or due but may no longer leave, with the reason.
    """

    seqs: tuple[int, ...] = ()
    passes: int | None = None
    held: dict[int, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.seqs or self.held) and self.passes is None


# Rows as SQLite returns them, a thousand per batch: seq, bytes, not_before.
_Candidate = tuple[int, int, int]


class Selection:
    """Walks once over what one run may send; never returns an event twice."""

    def __init__(self, store: Store, run: Run, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._where = {"target_id": run.target.target_id, "epoch": run.target.epoch}
        self._run_at = run.at
        self._new_after = run.target.mark
        self._open_after = 0
        self._due_after = (-1, 0)

    def next(self, at_most: int | None = None) -> Selected:
        """Return the next batch; `Selected.empty` when nothing is left for this run."""
        room = min(self._limits.events, at_most or self._limits.events)
        held: dict[int, str] = {}
        with self._store.reading() as conn:
            opened = self._opened(conn, room, held)
            new, upto = self._new(conn, room)
            first = sorted(opened + new) if opened else new
            if held and len(opened) + len(held) == room:
                # Open rows beyond those that were looked at come before newer events.
                looked_at = max([*held, *(seq for seq, _, _ in opened)])
                first = [each for each in first if each[0] <= looked_at]
            # Retries take at most half a batch while new events wait.
            retries = self._due(conn, max(room // 2, room - len(first)), held)
        first = first[: room - len(retries)]
        fitting = self._fitting(first + retries)
        retries = retries[: max(0, fitting - len(first))]
        first = first[:fitting]
        were_open = {seq for seq, _, _ in opened}
        sent_open = [seq for seq, _, _ in first if seq in were_open]
        sent_new = [seq for seq, _, _ in first if seq not in were_open]
        if sent_open:
            self._open_after = sent_open[-1]
        if retries:
            self._due_after = (retries[-1][2], retries[-1][0])
        passes = sent_new[-1] if sent_new else None
        if len(sent_new) == len(new) < room:
            passes = upto
        self._new_after = passes or self._new_after
        return Selected(tuple(sorted([seq for seq, _, _ in first + retries])), passes, held)

    def _fitting(self, wanted: list[_Candidate]) -> int:
        """Return how many of *wanted* one body takes, at least one."""
        left = self._limits.body_bytes - _FRAME_BYTES
        if sum([size for _, size, _ in wanted]) + len(wanted) <= left:
            return len(wanted)
        for index, (_, size, _) in enumerate(wanted):
            left -= size + 1
            if left < 0:
                return max(index, 1)
        return len(wanted)

    def _new(self, conn: sqlite3.Connection, room: int) -> tuple[list[_Candidate], int | None]:
        """Return the next new events, and the end of the stretch that was looked at."""
        top = conn.execute(_TOP).fetchone()
        if top is None or top[0] <= self._new_after:
            return [], None
        upto = min(self._new_after + WINDOW, top[0])
        bounds = {"after": self._new_after, "upto": upto, "n": room}
        rows = conn.execute(_NEW, {**self._where, **bounds}).fetchall()
        return rows, upto

    def _opened(
        self, conn: sqlite3.Connection, room: int, held: dict[int, str]
    ) -> list[_Candidate]:
        bounds = {"after": self._open_after, "n": room}
        found: list[_Candidate] = []
        for seq, size, barrier in conn.execute(_OPEN, {**self._where, **bounds}):
            if barrier is None:
                found.append((seq, size, 0))
            else:
                held[seq] = barrier
        return found

    def _due(self, conn: sqlite3.Connection, room: int, held: dict[int, str]) -> list[_Candidate]:
        moment, after = self._due_after
        bounds = {"run_at": self._run_at, "after_time": moment, "after": after, "n": room}
        found: list[_Candidate] = []
        for seq, size, barrier, not_before in conn.execute(_DUE, {**self._where, **bounds}):
            if barrier is None:
                found.append((seq, size, not_before))
            else:
                held[seq] = barrier
        return found
