"""The beginning and end of one drain: recovery, the run's logical clock, other teams let in."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.backoff import HOUR_MS
from spec_kitty_sync.delivery.counting import shift_counts
from spec_kitty_sync.delivery.states import DEFAULT_MAX_REJECTIONS
from spec_kitty_sync.delivery.targets import (
    Target,
    TargetRegistry,
    check_standing,
    same_target,
)
from spec_kitty_sync.errors import DeliveryBlockedError

_LEFT_CLAIMS = """
SELECT DISTINCT claim_id FROM delivery_claims WHERE target_id = ? ORDER BY claim_id
"""
# A claim names exactly the events of its batch; those without a row become open ones.
_RELEASE_NEW = """
INSERT INTO delivery_ledger(target_id, epoch, seq, state, claimed)
SELECT c.target_id, c.epoch, j.seq, 'open', 1
FROM delivery_claims c JOIN journal_ids j ON j.seq BETWEEN c.first_seq AND c.last_seq
WHERE c.claim_id = ? ON CONFLICT DO NOTHING RETURNING target_id, epoch
"""
_RELEASE_OLD = """
UPDATE delivery_ledger SET claimed = 1
FROM delivery_claims c
WHERE c.claim_id = ? AND delivery_ledger.target_id = c.target_id
  AND delivery_ledger.epoch = c.epoch AND delivery_ledger.seq BETWEEN c.first_seq AND c.last_seq
  AND delivery_ledger.claimed = 0
"""
_UNCLAIM = "DELETE FROM delivery_claims WHERE claim_id = ?"
_BEGIN = """
UPDATE delivery_targets
SET last_attempt_at = :now,
    run_at = CASE WHEN run_at >= :now AND run_at <= :now + :hour THEN run_at + 1 ELSE :now END
WHERE target_id = :target_id RETURNING run_at
"""
# A clock that was set back must not park rows for a year.
_PULL_FAR = """
UPDATE delivery_ledger SET not_before = 0
WHERE target_id = :target_id AND epoch = :epoch AND not_before > :run_at + :hour
  AND state IN ('pending', 'transient', 'rejected')
"""
_NEXT_BATCH = "SELECT coalesce(max(batch_id), 0) + 1 FROM delivery_log"
_END = "UPDATE delivery_targets SET last_stop = ? WHERE target_id = ?"
_CLEAR_TEAMS = "DELETE FROM delivery_included_teams WHERE target_id = ?"
_INCLUDE_TEAM = "INSERT INTO delivery_included_teams(target_id, team_slug) VALUES (?, ?)"
_OPEN_TEAM = """
UPDATE delivery_ledger SET state = 'open', category = ''
WHERE target_id = ?1 AND epoch = ?2 AND state = 'held' AND category = 'other_team'
  AND seq IN (SELECT seq FROM journal_ids WHERE team = ?3)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One drain of one target. `at` is its logical start: strictly later than the last one's.

    Rows that this run records become due after `at`, so no run sees an event twice. Its answers
    are in the log from `first_batch_id` on.
    """

    target: Target
    at: int
    max_rejections: int = DEFAULT_MAX_REJECTIONS
    includes_team: bool = False
    first_batch_id: int = 0


def begin_run(
    store: Store,
    target: Target,
    *,
    clock: Clock,
    max_rejections: int = DEFAULT_MAX_REJECTIONS,
    include_team: str | None = None,
) -> Run:
    """Release what an earlier run left claimed, and start the run's logical clock.

    The caller holds the drain lock; *target* may have been read before that. *include_team*
    opens the rows of one other team, audited, until `end_run`.

    Raises:
        DeliveryBlockedError: the target is retired.
        TargetChangedError: its number is another target's now.
    """
    with store.transaction() as conn:
        target = same_target(conn, target)
        _refuse_retired(target)
        where = {"target_id": target.target_id, "epoch": target.epoch, "hour": HOUR_MS}
        for (claim,) in conn.execute(_LEFT_CLAIMS, (target.target_id,)).fetchall():
            release_claim(conn, claim)
        run_at = conn.execute(_BEGIN, {**where, "now": clock.now_ms()}).fetchone()[0]
        conn.execute(_PULL_FAR, {**where, "run_at": run_at})
        conn.execute(_CLEAR_TEAMS, (target.target_id,))
        includes_team = include_team is not None and include_team != target.team_slug
        if include_team is not None and includes_team:
            registry = TargetRegistry(store, clock=clock)
            registry.audit(conn, "include_team", target.target_id, {"team": include_team})
            _include(conn, target, include_team)
        first_batch_id = conn.execute(_NEXT_BATCH).fetchone()[0]
    return Run(target, run_at, max_rejections, includes_team, first_batch_id)


def _refuse_retired(target: Target) -> None:
    if not target.active:
        raise retired(target)


def retired(target: Target) -> DeliveryBlockedError:
    """Return the refusal to deliver to a target that was given up."""
    return DeliveryBlockedError(
        f"the target {target.url} is retired",
        remedy=f"Run `spec-kitty sync targets restore {target.target_id}`.",
        reason="retired",
    )


def _include(conn: sqlite3.Connection, target: Target, team: str) -> None:
    conn.execute(_INCLUDE_TEAM, (target.target_id, team))
    opened = conn.execute(_OPEN_TEAM, (target.target_id, target.epoch, team)).rowcount
    shifts = {("held", "other_team"): -opened, ("open", ""): opened}
    shift_counts(conn, target.target_id, target.epoch, shifts)


def release_claim(conn: sqlite3.Connection, claim: int) -> None:
    """Open what is left of *claim*: it was not answered, and nobody's counts move.

    That it was claimed is remembered: such an event is never superseded.
    """
    opened: dict[tuple[int, int], int] = {}
    for key in conn.execute(_RELEASE_NEW, (claim,)).fetchall():
        opened[key] = opened.get(key, 0) + 1
    conn.execute(_RELEASE_OLD, (claim,))
    conn.execute(_UNCLAIM, (claim,))
    for (target_id, epoch), n in opened.items():
        shift_counts(conn, target_id, epoch, {("open", ""): n})


def end_run(store: Store, run: Run, *, stop: str | None) -> None:
    """Close the run: other teams are shut out again; *stop* says why it ended early.

    Raises:
        TargetChangedError: see `check_standing`.
    """
    if stop == run.target.last_stop and not run.includes_team:
        return
    with store.transaction() as conn:
        check_standing(conn, run.target)
        conn.execute(_CLEAR_TEAMS, (run.target.target_id,))
        conn.execute(_END, (stop, run.target.target_id))
