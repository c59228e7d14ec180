"""Delivering the whole journal once more: a new epoch (CONTRACT 6, `--redeliver`)."""

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
