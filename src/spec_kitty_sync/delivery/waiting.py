"""What waits for a target: how much is behind its mark, and a look at the first of it.

Every answer reads a bounded number of rows, whatever the journal's size.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.targets import Target

# The look at single events stops here; what is beyond is counted, not examined.
EXAMINED = 1000

# The team is asked for too: one run may include another team, and be killed before it ends that.
_BARRIERS = """
SELECT c.barrier, j.team, count(*) FROM delivery_candidates c CROSS JOIN journal_ids j
WHERE c.target_id = :target_id AND c.seq > :after AND c.seq < :before AND j.seq = c.seq
GROUP BY 1, 2
"""
_AHEAD = """
SELECT c.barrier, j.team, count(*) FROM delivery_ledger l
CROSS JOIN delivery_candidates c ON c.target_id = l.target_id AND c.seq = l.seq
CROSS JOIN journal_ids j ON j.seq = l.seq
WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.seq > :after GROUP BY 1, 2
"""
_OPENED = """
SELECT c.barrier, j.team, count(*) FROM delivery_ledger l INDEXED BY delivery_ledger_open
CROSS JOIN delivery_candidates c ON c.target_id = l.target_id AND c.seq = l.seq
CROSS JOIN journal_ids j ON j.seq = l.seq
WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.state = 'open' GROUP BY 1, 2
"""
_OPEN = """
SELECT seq FROM delivery_ledger INDEXED BY delivery_ledger_open
WHERE target_id = :target_id AND epoch = :epoch AND state = 'open' ORDER BY seq LIMIT :n
"""
_NEW = """
SELECT c.seq FROM delivery_candidates c CROSS JOIN journal_ids j
WHERE c.target_id = :target_id AND c.seq > :after AND c.seq <= :upto AND c.barrier IS NULL
  AND j.seq = c.seq AND (:team IS NULL OR j.team IS NULL OR j.team = :team)
  AND NOT EXISTS (SELECT 1 FROM delivery_ledger l
                  WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.seq = c.seq)
ORDER BY c.seq LIMIT :n
"""
_RETRYING = """
SELECT seq, attempts FROM delivery_ledger INDEXED BY delivery_ledger_due
WHERE target_id = :target_id AND epoch = :epoch AND state IN ('pending', 'transient', 'rejected')
LIMIT :n
"""
_BARRED = """
SELECT c.seq, c.event_id, c.barrier FROM delivery_candidates c
WHERE c.target_id = :target_id AND c.barrier NOT IN ('archived', 'superseded')
  AND (:reason IS NULL OR c.barrier = :reason)
UNION
SELECT l.seq, j.event_id, l.category FROM delivery_ledger l JOIN journal_ids j ON j.seq = l.seq
WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.state = 'held'
  AND l.category = 'corrupt' AND coalesce(:reason, 'corrupt') = 'corrupt'
ORDER BY 1 LIMIT :n
"""
_BARRED_ANYWHERE = """
SELECT seq, event_id, coalesce(hold, 'local_only') FROM journal_ids
WHERE NOT archived AND NOT superseded AND (hold IS NOT NULL OR tier = 0)
  AND (:reason IS NULL OR coalesce(hold, 'local_only') = :reason)
ORDER BY seq LIMIT :n
"""
_UNSENT = """
SELECT seq FROM journal_ids
WHERE seq > :after AND seq <= :upto
  AND NOT archived AND NOT superseded AND hold IS NULL AND tier > 0
  AND (:team IS NULL OR team IS NULL OR team = :team)
ORDER BY seq LIMIT :n
"""

Barriers = dict[str | None, int]
"""Why events stay here → how many; the key None counts those that may leave."""


Stretch = tuple[int, int]
"""A part of the journal: the seqs behind the first number, up to the second."""


class Waiting(NamedTuple):
    """The first events that wait, by seq, and how often the failed ones were tried."""

    seqs: tuple[int, ...]
    attempts: tuple[int, ...]


def count_between(store: Store, target: Target, *, after: int, before: int) -> Barriers:
    """Return the barriers of the events between two seqs, both excluded."""
    with store.reading() as conn:
        where = {"target_id": target.target_id, "after": after, "before": before}
        return _between_runs(conn.execute(_BARRIERS, where), target)


def count_ahead(store: Store, target: Target) -> Barriers:
    """Return the barriers of those events behind the mark that have a ledger row already."""
    with store.reading() as conn:
        return _between_runs(conn.execute(_AHEAD, _where(target)), target)


def count_opened(store: Store, target: Target) -> Barriers:
    """Return the barriers of the open rows: what was opened may have been held since.

    Reads every open row; few are, between drains.
    """
    with store.reading() as conn:
        return _between_runs(conn.execute(_OPENED, _where(target)), target)


def _between_runs(rows: Iterable[tuple[str | None, str | None, int]], target: Target) -> Barriers:
    """Return barrier → events, with the team that only a run includes kept out."""
    found: Barriers = {}
    for barrier, team, n in rows:
        other = barrier is None and target.team_slug and team not in (None, target.team_slug)
        key = "other_team" if other else barrier
        found[key] = found.get(key, 0) + n
    return found


def first_waiting(
    store: Store,
    target: Target | None,
    *,
    stretches: Iterable[Stretch],
    team: str | None = None,
) -> Waiting:
    """Return the first events that may still leave: failed, opened again, and never sent.

    Those that were never sent are looked for in *stretches*, in that order, until enough are found.
    Without *target* nothing was ever sent; then *team* is whose events it would be sent.
    """
    with store.reading() as conn:
        if target is None:
            return Waiting(tuple(_fresh(conn, _UNSENT, {"team": team}, stretches)), ())
        retrying = conn.execute(_RETRYING, _where(target)).fetchall()
        opened = [row[0] for row in conn.execute(_OPEN, _where(target))]
        where = {**_where(target), "team": target.team_slug}
        fresh = sorted(opened + _fresh(conn, _NEW, where, stretches))[:EXAMINED]
    attempts = tuple(row[1] for row in retrying)
    return Waiting(tuple(sorted({*fresh, *(row[0] for row in retrying)})), attempts)


def _fresh(
    conn: sqlite3.Connection,
    statement: str,
    where: Mapping[str, object],
    stretches: Iterable[Stretch],
) -> list[int]:
    found: list[int] = []
    for looked, (after, upto) in enumerate(stretches):
        if len(found) >= EXAMINED or (found and looked > 1):
            break
        bounds = {"after": after, "upto": upto, "n": EXAMINED - len(found)}
        found += [row[0] for row in conn.execute(statement, {**where, **bounds})]
    return found


def list_held(
    store: Store, target: Target | None, *, reason: str | None = None, n: int
) -> tuple[tuple[int, str, str], ...]:
    """Return (seq, event id, reason) of the first *n* events that stay here, of one *reason*.

    Reads the whole journal.
    """
    with store.reading() as conn:
        if target is None:
            rows = conn.execute(_BARRED_ANYWHERE, {"reason": reason, "n": n}).fetchall()
        else:
            where = {**_where(target), "reason": reason, "n": n}
            rows = conn.execute(_BARRED, where).fetchall()
    return tuple(rows)


def _where(target: Target) -> dict[str, int]:
    return {
        "target_id": target.target_id,
        "epoch": target.epoch,
        "after": target.mark,
        "n": EXAMINED,
    }
