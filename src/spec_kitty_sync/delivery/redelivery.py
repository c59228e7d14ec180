"""Delivering the whole journal once more: a new epoch, by `--redeliver` or after a restore."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.lock import WAIT_S, drain_lock
from spec_kitty_sync.delivery.targets import Target, TargetRegistry

_PREVIEW = """
SELECT count(*) FILTER (WHERE barrier IS NULL), count(*) FILTER (WHERE barrier = 'archived')
FROM delivery_candidates WHERE target_id = ?
"""


# Claim 0 belongs to no target and is never released.
_MAY_HAVE_LEFT = """
INSERT OR REPLACE INTO delivery_claims(claim_id, first_seq, last_seq, target_id, epoch, claimed_at)
SELECT 0, 1, seq, 0, 0, ? FROM journal_ids ORDER BY seq DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class RedeliveryPreview:
    """What a new epoch would send again, and what it cannot: gc or archive took the bytes."""

    sendable: int
    unsendable: int


def preview_redelivery(store: Store, target: Target) -> RedeliveryPreview:
    """Return what `redeliver` would lead to. Reads the whole journal, writes nothing."""
    with store.reading() as conn:
        return RedeliveryPreview(*conn.execute(_PREVIEW, (target.target_id,)).fetchone())


def redeliver(
    store: Store, target: Target, *, locks_dir: Path, clock: Clock, lock_wait_s: float = WAIT_S
) -> Target:
    """Start a new epoch, in which nothing is delivered yet; return the target in it.

    Raises:
        DrainLockedError: a drain of this target is running.
    """
    registry = TargetRegistry(store, clock=clock)
    with drain_lock(locks_dir, target.target_id, clock=clock, wait_s=lock_wait_s):
        return registry.start_epoch(target.target_id, reason="redeliver")


def begin_after_restore(store: Store, *, clock: Clock) -> None:
    """Begin a new epoch for every target: nobody knows what was sent since the backup.

    The caller has the store to itself.
    """
    registry = TargetRegistry(store, clock=clock)
    with store.transaction():
        for target in registry.all():
            registry.start_epoch(target.target_id, reason="restore")
        assume_sent(store, clock=clock)


def assume_sent(store: Store, *, clock: Clock) -> None:
    """Note that every event stored by now may have left this machine: none gets superseded."""
    with store.transaction() as conn:
        conn.execute(_MAY_HAVE_LEFT, (clock.now_ms(),))
