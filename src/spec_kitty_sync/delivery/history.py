"""Reading the ledger: one event's rows, the log of answers, what failed, what waits."""

from __future__ import annotations

import json
from dataclasses import dataclass

from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.targets import Target

_ROWS = """
SELECT l.target_id, t.url, l.epoch, l.epoch = t.epoch, l.state, l.category, l.reason, l.attempts,
       l.rejections, l.first_at, l.last_at, l.not_before, l.http_status, b.endpoint,
       b.user_email, b.team_slug, b.deployment_id
FROM delivery_targets t
CROSS JOIN delivery_epochs e ON e.target_id = t.target_id
CROSS JOIN delivery_ledger l ON l.target_id = e.target_id AND l.epoch = e.epoch AND l.seq = ?
LEFT JOIN delivery_log b ON b.batch_id = l.batch_id
ORDER BY l.target_id, l.epoch
"""
_LOG = """
SELECT b.batch_id, b.target_id, t.url, b.epoch, b.at, b.endpoint, b.http_status, b.events,
       b.delivered, b.duplicates, b.pending, b.rejected, b.terminal, b.transient
FROM delivery_log b JOIN delivery_targets t ON t.target_id = b.target_id
ORDER BY b.batch_id DESC LIMIT ?
"""
_FAILED = """
SELECT l.seq, j.event_id, l.target_id, l.state, l.category, coalesce(l.reason, ''), l.attempts,
       l.rejections, l.last_at, l.http_status
FROM delivery_ledger l JOIN journal_ids j ON j.seq = l.seq
WHERE l.target_id = :target_id AND l.epoch = :epoch
  AND l.state IN (SELECT value FROM json_each(:states)) AND l.seq > :after
ORDER BY l.seq LIMIT :n
"""
_FAILED_IN_RUN = """
SELECT l.seq, j.event_id, l.target_id, l.state, l.category, coalesce(l.reason, ''), l.attempts,
       l.rejections, l.last_at, l.http_status
FROM delivery_ledger l JOIN journal_ids j ON j.seq = l.seq
WHERE l.target_id = ? AND l.epoch = ? AND l.batch_id >= ?
  AND l.state IN ('rejected', 'transient', 'dead_letter', 'terminal_failed')
ORDER BY l.seq
"""
_STALLED = """
SELECT count(*) FROM delivery_ledger
WHERE target_id = ? AND epoch = ? AND state = 'pending' AND first_at <= ?
"""
_NEXT_OPEN = """
SELECT seq FROM delivery_ledger INDEXED BY delivery_ledger_open
WHERE target_id = ? AND epoch = ? AND state = 'open' ORDER BY seq LIMIT 1
"""
_NEXT_DUE = """
SELECT min(not_before) FROM delivery_ledger INDEXED BY delivery_ledger_due
WHERE target_id = ? AND epoch = ? AND state IN ('pending', 'transient', 'rejected')
"""
_NEXT_NEW = """
SELECT seq FROM delivery_candidates WHERE target_id = ? AND seq > ? AND barrier IS NULL
ORDER BY seq LIMIT 1
"""
_DELIVERED_EVER = """
SELECT target_id, sum(n) FROM delivery_counts WHERE state = 'delivered' GROUP BY target_id
"""
STALLED_AFTER_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One event with one target in one epoch. Times are epoch milliseconds.

    `endpoint`, `user_email`, `team_slug` and `deployment_id` are those in force at the last answer.
    """

    target_id: int
    url: str
    epoch: int
    current: bool
    state: str
    category: str
    reason: str | None
    attempts: int
    rejections: int
    first_at: int | None
    last_at: int | None
    not_before: int
    http_status: int | None
    endpoint: str | None
    user_email: str | None
    team_slug: str | None
    deployment_id: str | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One recorded answer. `at` is epoch milliseconds."""

    batch_id: int
    target_id: int
    url: str
    epoch: int
    at: int
    endpoint: str
    http_status: int | None
    events: int
    delivered: int
    duplicates: int
    pending: int
    rejected: int
    terminal: int
    transient: int


@dataclass(frozen=True, slots=True)
class FailedEvent:
    """An event that did not get through, and why."""

    seq: int
    event_id: str
    target_id: int
    state: str
    category: str
    reason: str
    attempts: int
    rejections: int
    last_at: int | None
    http_status: int | None


def rows_of(store: Store, seq: int) -> tuple[LedgerRow, ...]:
    """Return what every target has been told of one event, in every epoch."""
    with store.reading() as conn:
        return tuple(LedgerRow(*row) for row in conn.execute(_ROWS, (seq,)))


def recent_log(store: Store, n: int = 20) -> tuple[LogEntry, ...]:
    """Return the last *n* answers, the newest first."""
    with store.reading() as conn:
        return tuple(LogEntry(*row) for row in conn.execute(_LOG, (n,)))


def failed_events(
    store: Store, target: Target, *, states: tuple[str, ...], after: int = 0, n: int = 1000
) -> tuple[FailedEvent, ...]:
    """Return up to *n* events of the current epoch in *states* behind seq *after*."""
    where = {"target_id": target.target_id, "epoch": target.epoch, "after": after, "n": n}
    with store.reading() as conn:
        rows = conn.execute(_FAILED, {**where, "states": json.dumps(list(states))})
        return tuple(FailedEvent(*row) for row in rows)


def failures_of_run(
    store: Store, target: Target, *, first_batch_id: int
) -> tuple[FailedEvent, ...]:
    """Return every event that the run beginning with *first_batch_id* did not get through."""
    with store.reading() as conn:
        rows = conn.execute(_FAILED_IN_RUN, (target.target_id, target.epoch, first_batch_id))
        return tuple(FailedEvent(*row) for row in rows)


def count_stalled(store: Store, target: Target, *, now_ms: int) -> int:
    """Return how many events have been `pending` for more than a day."""
    with store.reading() as conn:
        bound = (target.target_id, target.epoch, now_ms - STALLED_AFTER_MS)
        return int(conn.execute(_STALLED, bound).fetchone()[0])


def oldest_deliverable(store: Store, target: Target) -> int | None:
    """Return the seq of the first event that the next drain would send as new; None if none."""
    where = (target.target_id, target.epoch)
    with store.reading() as conn:
        opened = conn.execute(_NEXT_OPEN, where).fetchone()
        new = conn.execute(_NEXT_NEW, (target.target_id, target.mark)).fetchone()
    return min((row[0] for row in (opened, new) if row is not None), default=None)


def next_retry_at(store: Store, target: Target) -> int | None:
    """Return when the first failed or pending event is due (epoch milliseconds), or None."""
    with store.reading() as conn:
        found = conn.execute(_NEXT_DUE, (target.target_id, target.epoch)).fetchone()[0]
    return None if found is None else int(found)


def delivered_ever(store: Store) -> dict[int, int]:
    """Return target id → deliveries in all its epochs."""
    with store.reading() as conn:
        return {target_id: n for target_id, n in conn.execute(_DELIVERED_EVER)}
