"""Delivering the whole journal once more: a new epoch, by `--redeliver` or after a restore."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.lock import WAIT_S, drain_lock
from spec_kitty_sync.delivery.targets import Target, TargetRegistry, same_target

_PREVIEW = """
SELECT count(*) FILTER (WHERE barrier IS NULL), count(*) FILTER (WHERE barrier = 'archived')
FROM delivery_candidates WHERE target_id = ?
"""


# Claim 0 belongs to no target and is never released.
_MAY_HAVE_LEFT = """
INSERT OR REPLACE INTO delivery_claims(claim_id, first_seq, last_seq, target_id, epoch, claimed_at)
SELECT 0, 1, seq, 0, 0, ? FROM journal_ids ORDER BY seq DESC LIMIT 1
"""
_TARGETS = """
SELECT target_id, url, url_hash, team_slug, user_email, epoch, created_at, retired_at, run_at,
       last_attempt_at, last_delivery_at, last_stop, closed_gate, closed_login, max_event_bytes,
       server_instance_id, deployment_id, environment_name, git_sha
FROM delivery_targets ORDER BY target_id
"""
# What was decided and learnt since the backup stays so. A number that means another target there
# (the backup is of another home) is not taken from it.
_KEEP_TARGET = """
INSERT INTO delivery_targets(
    target_id, url, url_hash, team_slug, user_email, epoch, created_at, retired_at, run_at,
    last_attempt_at, last_delivery_at, last_stop, closed_gate, closed_login, max_event_bytes,
    server_instance_id, deployment_id, environment_name, git_sha)
VALUES (iif(?1 IN (SELECT target_id FROM delivery_targets), NULL, ?1),
        ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
ON CONFLICT(url_hash, team_slug, user_email) DO UPDATE SET
    epoch = max(epoch, excluded.epoch), retired_at = excluded.retired_at,
    run_at = max(run_at, excluded.run_at), last_attempt_at = excluded.last_attempt_at,
    last_delivery_at = excluded.last_delivery_at, last_stop = excluded.last_stop,
    closed_gate = excluded.closed_gate, closed_login = excluded.closed_login,
    max_event_bytes = excluded.max_event_bytes, server_instance_id = excluded.server_instance_id,
    deployment_id = excluded.deployment_id, environment_name = excluded.environment_name,
    git_sha = excluded.git_sha
"""
_KEEP_EPOCH = """
INSERT INTO delivery_epochs(target_id, epoch, started_at, reason)
SELECT target_id, epoch, ?, 'restore' FROM delivery_targets WHERE true ON CONFLICT DO NOTHING
"""
_AUDITS = """
SELECT a.at, a.action, a.detail, t.url_hash, t.team_slug, t.user_email
FROM delivery_audit a JOIN delivery_targets t USING (target_id) ORDER BY a.audit_id
"""
_KEEP_AUDIT = """
INSERT INTO delivery_audit(at, action, target_id, detail)
SELECT ?1, ?2, target_id, ?3 FROM delivery_targets t
WHERE url_hash = ?4 AND team_slug = ?5 AND user_email = ?6
  AND NOT EXISTS (SELECT 1 FROM delivery_audit a WHERE a.at = ?1 AND a.action = ?2
                  AND a.target_id = t.target_id AND a.detail = ?3)
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
        TargetChangedError: a restore, waited for, gave its number to another target.
    """
    registry = TargetRegistry(store, clock=clock)
    with (
        drain_lock(locks_dir, target.target_id, clock=clock, wait_s=lock_wait_s),
        store.transaction() as conn,
    ):
        same_target(conn, target)
        return registry.start_epoch(target.target_id, reason="redeliver")


def begin_after_restore(
    store: Store, *, clock: Clock, live: sqlite3.Connection | None = None
) -> None:
    """Begin a new epoch for every target: nobody knows what was sent since the backup.

    *live* is the database that the store is to replace: its targets stay known, as they stand
    there, so that neither their numbers nor those of their epochs are given out again. The caller
    has both to itself.
    """
    registry = TargetRegistry(store, clock=clock)
    with store.transaction() as conn:
        if live is not None:
            conn.executemany(_KEEP_TARGET, live.execute(_TARGETS))
            conn.execute(_KEEP_EPOCH, (clock.now_ms(),))
            conn.executemany(_KEEP_AUDIT, live.execute(_AUDITS))
        for target in registry.all():
            registry.start_epoch(target.target_id, reason="restore")
        assume_sent(store, clock=clock)


def assume_sent(store: Store, *, clock: Clock) -> None:
    """Note that every event stored by now may have left this machine: none gets superseded."""
    with store.transaction() as conn:
        conn.execute(_MAY_HAVE_LEFT, (clock.now_ms(),))
