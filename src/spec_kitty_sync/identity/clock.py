"""The Lamport clock: pure arithmetic, and the row of the store that is its authority."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

_TICK = "UPDATE identity_clock SET value = value + 1 WHERE id = 1 RETURNING value"
_RECEIVE = "UPDATE identity_clock SET value = max(value, ?) + 1 WHERE id = 1 RETURNING value"
_VALUE = "SELECT value FROM identity_clock WHERE id = 1"


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


def tick(conn: sqlite3.Connection) -> int:
    """Advance the stored clock inside the caller's transaction and return the new value."""
    return int(conn.execute(_TICK).fetchone()[0])


def receive(conn: sqlite3.Connection, remote_clock: int) -> int:
    """Advance the stored clock past *remote_clock* inside the caller's transaction."""
    return int(conn.execute(_RECEIVE, (remote_clock,)).fetchone()[0])


def value(conn: sqlite3.Connection) -> int:
    """Return the stored clock."""
    return int(conn.execute(_VALUE).fetchone()[0])
