"""Which events go next: open rows and new events in journal order, then due retries.

Each selection reads as many rows as it returns, whatever the journal's size. The filters of
CONTRACT 6 (tier, team, holds) stand in the statements, in the view `delivery_candidates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.runs import Run

# A stretch of events that stay here is passed in transactions of this many rows.
WINDOW = 10_000
_FRAME_BYTES = len(b'{"events":[]}')

_UPTO = """
SELECT max(seq) FROM (SELECT seq FROM journal_ids WHERE seq > ? ORDER BY seq LIMIT ?)
"""
_NEW = """
SELECT c.seq, c.bytes FROM delivery_candidates c
WHERE c.target_id = :target_id AND c.seq > :after AND c.seq <= :upto AND c.barrier IS NULL
  AND NOT EXISTS (SELECT 1 FROM delivery_ledger l
                  WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.seq = c.seq)
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


@dataclass(frozen=True, slots=True)
class _Candidate:
    seq: int
    bytes: int
    kind: Literal["new", "open", "due"]
    not_before: int = 0


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
        with self._store.reading():
            due = self._due(room, held)
            opened = self._opened(room, held)
            new, upto = self._new(room)
        first = sorted([*opened, *new], key=lambda item: item.seq)
        retries = due[: max(room // 2, room - len(first))]
        taken = self._fit([*first[: room - len(retries)], *retries])
        passes = self._advance(taken, exhausted=upto if len(new) < room else None, n_new=len(new))
        return Selected(tuple(sorted(item.seq for item in taken)), passes, held)

    def _fit(self, wanted: list[_Candidate]) -> list[_Candidate]:
        """Return as many of *wanted* as one body takes, at least one."""
        left = self._limits.body_bytes - _FRAME_BYTES
        for index, item in enumerate(wanted):
            left -= item.bytes + 1
            if left < 0 and index:
                return wanted[:index]
        return wanted

    def _advance(
        self, taken: Sequence[_Candidate], *, exhausted: int | None, n_new: int
    ) -> int | None:
        """Move the cursors behind *taken*; return how far the mark may follow."""
        new = [item.seq for item in taken if item.kind == "new"]
        opened = [item.seq for item in taken if item.kind == "open"]
        due = [(item.not_before, item.seq) for item in taken if item.kind == "due"]
        self._open_after = max(opened, default=self._open_after)
        self._due_after = max(due, default=self._due_after)
        passes = exhausted if len(new) == n_new and exhausted else max(new, default=None)
        self._new_after = passes or self._new_after
        return passes

    def _new(self, room: int) -> tuple[list[_Candidate], int | None]:
        upto = self._store.conn.execute(_UPTO, (self._new_after, max(WINDOW, room))).fetchone()[0]
        if upto is None:
            return [], None
        bounds = {"after": self._new_after, "upto": upto, "n": room}
        rows = self._store.conn.execute(_NEW, {**self._where, **bounds})
        return [_Candidate(seq, size, "new") for seq, size in rows], upto

    def _opened(self, room: int, held: dict[int, str]) -> list[_Candidate]:
        bounds = {"after": self._open_after, "n": room}
        found = []
        for seq, size, barrier in self._store.conn.execute(_OPEN, {**self._where, **bounds}):
            if barrier is None:
                found.append(_Candidate(seq, size, "open"))
            else:
                held[seq] = barrier
        return found

    def _due(self, room: int, held: dict[int, str]) -> list[_Candidate]:
        moment, seq = self._due_after
        bounds = {"run_at": self._run_at, "after_time": moment, "after": seq, "n": room}
        found = []
        for seq, size, barrier, not_before in self._store.conn.execute(
            _DUE, {**self._where, **bounds}
        ):
            if barrier is None:
                found.append(_Candidate(seq, size, "due", not_before))
            else:
                held[seq] = barrier
        return found
