"""Why events wait: a column beside them, never in their bytes (CONTRACT 6, Capture first)."""

from __future__ import annotations

import enum
import sqlite3
from dataclasses import dataclass

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store

_EXTEND = "UPDATE sync_blocked SET last_seq = ?1 WHERE last_seq = ?1 - 1 AND reason = ?2"
_INSERT = "INSERT INTO sync_blocked (first_seq, last_seq, reason, since_ms) VALUES (?, ?, ?, ?)"
_CLEAR = "DELETE FROM sync_blocked"
_SINCE = "SELECT min(since_ms) FROM sync_blocked WHERE reason = ?"
_TOP = "SELECT coalesce(max(seq), 0) FROM journal_ids"
_OF_EVENT = "SELECT drain_blocked_reason FROM sync_blocked_events WHERE event_id = ?"
_REASONS = """
SELECT reason, min(since_ms), sum(last_seq - first_seq + 1) FROM sync_blocked
GROUP BY reason ORDER BY reason
"""


class BlockedReason(enum.StrEnum):
    """The vocabulary of `drain_blocked_reason`."""

    SYNC_DISABLED = "sync_disabled"
    NO_AUTH = "no_auth"
    NO_TEAM = "no_team"
    PRIVATE_TEAMSPACE = "private_teamspace"
    NO_TARGET = "no_target"
    TARGET_CONFLICT = "target_conflict"
    NO_IDENTITY = "no_identity"
    LOCAL_RETENTION = "local_retention"
    OFFLINE = "offline"
    PROTOCOL_MISMATCH = "protocol_mismatch"


_STOPS = {
    "auth_expired": BlockedReason.NO_AUTH,
    "credentials": BlockedReason.NO_AUTH,
    "forbidden": BlockedReason.NO_AUTH,
    "offline": BlockedReason.OFFLINE,
    "tls": BlockedReason.OFFLINE,
    "throttled": BlockedReason.OFFLINE,
    "server_down": BlockedReason.OFFLINE,
}


def reason_of_stop(code: str, *, private_gate: bool = False) -> BlockedReason | None:
    """Return why events wait after a drain that stopped with *code*; None if it was told to stop.

    *private_gate*: a 403 closed the Private-Teamspace gate.
    """
    if code in ("interrupted", "drain_running"):
        return None
    if private_gate:
        return BlockedReason.PRIVATE_TEAMSPACE
    if code in set(BlockedReason):
        return BlockedReason(code)
    # What is left are servers that do not speak this protocol: 404, 412, redirects, odd answers.
    return _STOPS.get(code, BlockedReason.PROTOCOL_MISMATCH)


@dataclass(frozen=True, slots=True)
class BlockedRun:
    """How many events were captured under, or left behind by, one reason."""

    reason: str
    since_ms: int
    events: int


class BlockedRuns:
    """The column, kept as runs: an emit touches one row, an attempt replaces them all."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def note(self, conn: sqlite3.Connection, seq: int, reason: BlockedReason) -> None:
        """Write why the event just appended waits, in the transaction that appends it."""
        if conn.execute(_EXTEND, (seq, reason.value)).rowcount == 0:
            conn.execute(_INSERT, (seq, seq, reason.value, self._clock.now_ms()))

    def record_attempt(self, reason: BlockedReason | None) -> None:
        """Write what the latest attempt to deliver came to; None clears every reason."""
        with self._store.transaction() as conn:
            since_ms = self._clock.now_ms()
            if reason is not None:
                known = conn.execute(_SINCE, (reason.value,)).fetchone()[0]
                since_ms = since_ms if known is None else known
            conn.execute(_CLEAR)
            top = conn.execute(_TOP).fetchone()[0]
            if reason is not None and top:
                conn.execute(_INSERT, (1, top, reason.value, since_ms))

    def reason_of(self, event_id: str) -> str | None:
        """Return the reason beside one event; it says nothing of events already delivered."""
        with self._store.reading() as conn:
            row = conn.execute(_OF_EVENT, (event_id,)).fetchone()
        return row[0] if row else None

    def all(self) -> tuple[BlockedRun, ...]:
        """Return the reasons, with since when and beside how many events."""
        with self._store.reading() as conn:
            return tuple(BlockedRun(*row) for row in conn.execute(_REASONS))
