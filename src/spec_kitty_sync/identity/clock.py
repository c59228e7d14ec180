"""The Lamport clock: pure arithmetic, and the row of the store that is its authority.

`clock.json` is a copy for other tools (CONTRACT 6, Identity).
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.identity.clock_file import read_clock_file, write_clock_file

CLOCK_LIMIT = 2**53 - 1
"""The largest remote clock that moves ours: a hostile one must not use the numbers up."""

_COPY_EVERY_S = 1.0
_LOG = logging.getLogger(__name__)

_TICK = """
UPDATE identity_clock
SET value = max(value, ?1) + 1, journal_seq = max(journal_seq, ?2) WHERE id = 1 RETURNING value
"""
_RAISE = """
UPDATE identity_clock
SET value = max(value, ?1), journal_seq = max(journal_seq, ?2) WHERE id = 1
"""
_VALUE = "SELECT value FROM identity_clock WHERE id = 1"
_JOURNAL_SEQ = "SELECT journal_seq FROM identity_clock WHERE id = 1"


class ClockedJournal(Protocol):
    """What the clock asks of the journal."""

    def highest_clock(self, after: int = 0, *, limit: int = ...) -> tuple[int, int]:
        """Return (highest clock up to *limit*, highest seq) of the rows after seq *after*."""
        ...


class TickingClock(Protocol):
    """What the emitter needs of a clock."""

    @property
    def node_id(self) -> str: ...

    def tick(self) -> int:
        """Advance for a local event and return the new value."""
        ...

    def receive(self, remote_clock: int) -> int:
        """Advance past *remote_clock* and return the new value."""
        ...


@dataclass
class LamportClock:
    """A counter for causal order (CONTRACT 7, Clock and identity)."""

    value: int = 0
    node_id: str = ""

    def tick(self) -> int:
        """Advance for a local event and return the new value."""
        self.value += 1
        return self.value

    def receive(self, remote_clock: int) -> int:
        """Advance past *remote_clock* and return the new value."""
        self.value = max(self.value, remote_clock) + 1
        return self.value


class StoredClock:
    """The clock of a home. `tick` joins the caller's transaction, so it counts with the append.

    Opening writes nothing: what the file and the journal know is carried into the first tick.
    """

    def __init__(self, store: Store, path: Path, *, node_id: str, wall: Clock) -> None:
        self.node_id = node_id
        self._store = store
        self._path = path
        self._wall = wall
        self._floor = 0
        self._counted_seq = 0
        self._noting = threading.Lock()
        self._copied_at_s: float | None = None

    def recover(self, journal: ClockedJournal) -> None:
        """Never fall behind the file or the journal; reads only journal rows not yet counted."""
        copy = read_clock_file(self._path, limit=CLOCK_LIMIT, now_ms=self._wall.now_ms())
        self._floor = max(self._floor, copy)
        self._count(journal)

    def receive_all(self, journal: ClockedJournal) -> None:
        """Receive every event that was appended without a tick, as an import does."""
        self._count(journal)
        self._catch_up()

    def _count(self, journal: ClockedJournal) -> None:
        with self._store.reading() as conn:
            counted = int(conn.execute(_JOURNAL_SEQ).fetchone()[0])
        highest, seq = journal.highest_clock(counted, limit=CLOCK_LIMIT)
        self._counted_seq = max(counted, seq)
        self._floor = max(self._floor, highest)

    @property
    def value(self) -> int:
        """The clock of the last event, or what it is about to count from."""
        with self._store.reading() as conn:
            stored = int(conn.execute(_VALUE).fetchone()[0])
        return max(stored, self._floor)

    def tick(self) -> int:
        """Advance for a local event and return the new value."""
        return self._advance(self._floor)

    def receive(self, remote_clock: int) -> int:
        """Advance past *remote_clock* and return the new value; absurd ones are not followed."""
        if remote_clock > CLOCK_LIMIT:
            _LOG.warning("a Lamport clock of %d was ignored", remote_clock)
            remote_clock = 0
        return self._advance(max(self._floor, remote_clock))

    def _advance(self, at_least: int) -> int:
        with self._store.transaction() as conn:
            return int(conn.execute(_TICK, (at_least, self._counted_seq)).fetchone()[0])

    def note(self, remote_clock: int) -> None:
        """Receive a clock on a thread that may not touch the store: the next tick goes past it."""
        if 0 <= remote_clock <= CLOCK_LIMIT:
            with self._noting:
                self._floor = max(self._floor, remote_clock + 1)

    def copy(self) -> None:
        """Write `clock.json`, at most once a second; a home that refuses it is no error."""
        now_s = self._wall.monotonic_s()
        if self._copied_at_s is None or now_s - self._copied_at_s >= _COPY_EVERY_S:
            self._copied_at_s = now_s
            self._write_copy()

    def close(self) -> None:
        """Keep what was noted, and leave an exact copy."""
        self._catch_up()
        self._write_copy()

    def _catch_up(self) -> None:
        with self._store.reading() as conn:
            behind = int(conn.execute(_VALUE).fetchone()[0]) < self._floor
        if behind:
            with self._store.transaction() as conn:
                conn.execute(_RAISE, (self._floor, self._counted_seq))

    def _write_copy(self) -> None:
        write_clock_file(
            self._path, value=self.value, node_id=self.node_id, now_ms=self._wall.now_ms()
        )
