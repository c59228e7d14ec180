"""Who has been told of what: claim, record, hold, reopen (CONTRACT 6, Ledger).

Claim and record are two short transactions around the network. A claim that nobody recorded is
released by the next holder of the drain lock: its events are open again.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.backoff import HOUR_MS, pending_delay_ms, transient_delay_ms
from spec_kitty_sync.delivery.states import DEFAULT_MAX_REJECTIONS, DeliveryState, next_state
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.events.results import BatchResult, Outcome

_NEXT_CLAIM = "SELECT coalesce(max(claim_id), 0) + 1 FROM delivery_claims"
_CLAIM = """
INSERT INTO delivery_claims(claim_id, first_seq, last_seq, target_id, epoch, claimed_at)
VALUES (?, ?, ?, ?, ?, ?)
"""
_UNCLAIM = "DELETE FROM delivery_claims WHERE claim_id = ?"
_LEFT_CLAIMS = """
SELECT DISTINCT claim_id FROM delivery_claims WHERE target_id = ? ORDER BY claim_id
"""
# A claim names exactly the events of its batch; those without a row become open ones.
_RELEASE_NEW = """
INSERT INTO delivery_ledger(target_id, epoch, seq, state, claimed)
SELECT c.target_id, c.epoch, j.seq, 'open', 1
FROM delivery_claims c JOIN journal_ids j ON j.seq BETWEEN c.first_seq AND c.last_seq
WHERE c.claim_id = ? ON CONFLICT DO NOTHING RETURNING epoch
"""
_RELEASE_OLD = """
UPDATE delivery_ledger SET claimed = 1
FROM delivery_claims c
WHERE c.claim_id = ? AND delivery_ledger.target_id = c.target_id
  AND delivery_ledger.epoch = c.epoch AND delivery_ledger.seq BETWEEN c.first_seq AND c.last_seq
  AND delivery_ledger.claimed = 0
"""
_STANDING = """
SELECT l.seq, l.state, l.category, l.attempts, l.rejections
FROM json_each(:seqs) s CROSS JOIN delivery_ledger l
  ON l.target_id = :target_id AND l.epoch = :epoch AND l.seq = s.value
"""
_SETTLE = """
INSERT INTO delivery_ledger(target_id, epoch, seq, state, category, claimed, attempts, rejections,
    not_before, first_at, last_at, http_status, batch_id, reason)
SELECT :target_id, :epoch, value, :state, :category, 1, 1, :rejections,
    :not_before, :at, :at, :http_status, :batch_id, :reason
FROM json_each(:seqs) WHERE true
ON CONFLICT DO UPDATE SET state = excluded.state, category = excluded.category, claimed = 1,
    attempts = attempts + 1, rejections = excluded.rejections, not_before = excluded.not_before,
    first_at = coalesce(first_at, excluded.first_at), last_at = excluded.last_at,
    http_status = excluded.http_status, batch_id = excluded.batch_id, reason = excluded.reason
"""
_HOLD = """
INSERT INTO delivery_ledger(target_id, epoch, seq, state, category)
SELECT :target_id, :epoch, value, 'held', :category FROM json_each(:seqs) WHERE true
ON CONFLICT DO UPDATE SET state = 'held', category = excluded.category, not_before = 0
"""
_MARK = "SELECT mark FROM delivery_epochs WHERE target_id = ? AND epoch = ?"
_SET_MARK = "UPDATE delivery_epochs SET mark = ? WHERE target_id = ? AND epoch = ? AND mark < ?"
# Writes a row for whatever the mark passes without one: the invariant holds by construction.
_PASS = """
INSERT INTO delivery_ledger(target_id, epoch, seq, state, category)
SELECT c.target_id, :epoch, c.seq, iif(c.barrier IS NULL, 'open', 'held'), coalesce(c.barrier, '')
FROM delivery_candidates c
WHERE c.target_id = :target_id AND c.seq > :mark AND c.seq <= :upto
ON CONFLICT DO NOTHING RETURNING state, category
"""
_COUNT = """
INSERT INTO delivery_counts(target_id, epoch, state, category, n) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n
"""
_COUNTS = """
SELECT state, category, n FROM delivery_counts WHERE target_id = ? AND epoch = ? AND n > 0
ORDER BY state, category
"""
_LOG = """
INSERT INTO delivery_log(target_id, epoch, at, endpoint, user_email, team_slug, deployment_id,
    http_status, events, delivered, duplicates, pending, rejected, terminal, transient, note)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DELIVERED_AT = "UPDATE delivery_targets SET last_delivery_at = ? WHERE target_id = ?"
_BEGIN_RUN = """
UPDATE delivery_targets
SET last_attempt_at = :now,
    run_at = CASE WHEN run_at >= :now AND run_at <= :now + :hour THEN run_at + 1 ELSE :now END
WHERE target_id = :target_id RETURNING run_at
"""
_PULL_FAR = """
UPDATE delivery_ledger SET not_before = 0
WHERE target_id = :target_id AND epoch = :epoch AND not_before > :run_at + :hour
  AND state IN ('pending', 'transient', 'rejected')
"""
_END_RUN = "UPDATE delivery_targets SET last_stop = ? WHERE target_id = ?"
_CLEAR_TEAMS = "DELETE FROM delivery_included_teams WHERE target_id = ?"
_INCLUDE_TEAM = "INSERT INTO delivery_included_teams(target_id, team_slug) VALUES (?, ?)"
# The journal's view is asked, so only rows of that team open.
_OPEN_TEAM = """
UPDATE delivery_ledger SET state = 'open', category = ''
WHERE target_id = ?1 AND epoch = ?2 AND state = 'held' AND category = 'other_team'
  AND seq IN (SELECT seq FROM journal_ids WHERE team = ?3)
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the receiver said of one event: the result, and what it was about."""

    seq: int
    result: BatchResult


@dataclass(frozen=True, slots=True)
class Answered:
    """Where and how an answer came: kept in the log for every delivered row."""

    endpoint: str
    http_status: int | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One drain of one target. `at` is its logical start: strictly later than the last one's.

    Rows that this run records become due after `at`, so no run sees an event twice.
    """

    target: Target
    at: int
    limit: int = DEFAULT_MAX_REJECTIONS


@dataclass(frozen=True, slots=True)
class Recorded:
    """The new state of each event of one answer, and what the mark held back on its way."""

    states: dict[int, DeliveryState]
    held: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, order=True)
class _Row:
    """All that rows settled alike share; `sort` groups them."""

    state: str
    category: str
    rejections: int
    not_before: int
    reason: str


class SqliteLedger:
    """The ledger of one home, beside the journal in the same database."""

    def __init__(
        self, store: Store, *, clock: Clock, jitter: Callable[[], float] = lambda: 0.5
    ) -> None:
        self._store = store
        self._clock = clock
        self._jitter = jitter

    def begin_run(
        self,
        target: Target,
        *,
        max_rejections: int = DEFAULT_MAX_REJECTIONS,
        include_team: str | None = None,
    ) -> Run:
        """Release what an earlier run left claimed, and start the run's logical clock.

        The caller holds the drain lock. *include_team* opens the rows of one other team until
        `end_run`.
        """
        where = {"target_id": target.target_id, "epoch": target.epoch, "hour": HOUR_MS}
        with self._store.transaction() as conn:
            for (claim,) in conn.execute(_LEFT_CLAIMS, (target.target_id,)).fetchall():
                self._release(conn, target, claim)
            now_ms = self._clock.now_ms()
            run_at = conn.execute(_BEGIN_RUN, {**where, "now": now_ms}).fetchone()[0]
            conn.execute(_PULL_FAR, {**where, "run_at": run_at})
            conn.execute(_CLEAR_TEAMS, (target.target_id,))
            if include_team is not None:
                self._include(conn, target, include_team)
        return Run(target, run_at, max_rejections)

    def _include(self, conn: sqlite3.Connection, target: Target, team: str) -> None:
        conn.execute(_INCLUDE_TEAM, (target.target_id, team))
        opened = conn.execute(_OPEN_TEAM, (target.target_id, target.epoch, team)).rowcount
        self._shift(conn, target, {("held", "other_team"): -opened, ("open", ""): opened})

    def end_run(self, run: Run, *, stop: str | None) -> None:
        """Close the run: other teams are shut out again, *stop* is why it ended early."""
        with self._store.transaction() as conn:
            conn.execute(_CLEAR_TEAMS, (run.target.target_id,))
            conn.execute(_END_RUN, (stop, run.target.target_id))

    def claim(self, run: Run, seqs: Sequence[int]) -> int:
        """Note durably that *seqs* may be on the wire from now on; return the claim's number."""
        ordered = sorted(seqs)
        now_ms = self._clock.now_ms()
        with self._store.transaction() as conn:
            claim = int(conn.execute(_NEXT_CLAIM).fetchone()[0])
            where = (run.target.target_id, run.target.epoch, now_ms)
            conn.executemany(_CLAIM, ((claim, *span, *where) for span in _spans(ordered)))
        return claim

    def release(self, run: Run, claim: int) -> None:
        """Open what is left of *claim*: it was not answered, and nobody's counts move."""
        with self._store.transaction() as conn:
            self._release(conn, run.target, claim)

    def _release(self, conn: sqlite3.Connection, target: Target, claim: int) -> None:
        new = Counter(row[0] for row in conn.execute(_RELEASE_NEW, (claim,)))
        conn.execute(_RELEASE_OLD, (claim,))
        conn.execute(_UNCLAIM, (claim,))
        for epoch, n in new.items():
            conn.execute(_COUNT, (target.target_id, epoch, "open", "", n))

    def record(
        self,
        run: Run,
        verdicts: Sequence[Verdict],
        answered: Answered,
        *,
        closes: int | None = None,
        passes: int | None = None,
    ) -> Recorded:
        """Write what one answer means, in one transaction.

        *closes* is the claim that this answer completes; *passes* the seq that the mark may move
        to: whatever lies between and has no row gets one.
        """
        with self._store.transaction() as conn:
            states = self._settle(conn, run, verdicts, answered) if verdicts else {}
            held: Counter[str] = Counter()
            if passes is not None:
                held = self._pass(conn, run.target, passes, states)
            if closes is not None:
                conn.execute(_UNCLAIM, (closes,))
        return Recorded(states, held)

    def _settle(
        self,
        conn: sqlite3.Connection,
        run: Run,
        verdicts: Sequence[Verdict],
        answered: Answered,
    ) -> dict[int, DeliveryState]:
        target, now_ms = run.target, self._clock.now_ms()
        where = {"target_id": target.target_id, "epoch": target.epoch}
        seqs = json.dumps([verdict.seq for verdict in verdicts])
        standing = {row[0]: row[1:] for row in conn.execute(_STANDING, {**where, "seqs": seqs})}
        rows: list[tuple[_Row, int]] = []
        shifts: Counter[tuple[str, str]] = Counter()
        for verdict in verdicts:
            old = standing.get(verdict.seq)
            row = self._decide(run, verdict, old, now_ms)
            if row is None:
                continue
            rows.append((row, verdict.seq))
            shifts[row.state, row.category] += 1
            if old is not None:
                shifts[old[0], old[1]] -= 1
        batch = conn.execute(_LOG, _log_row(target, verdicts, answered, now_ms)).lastrowid
        fixed = {**where, "at": now_ms, "http_status": answered.http_status, "batch_id": batch}
        for shared, group in groupby(sorted(rows), key=lambda pair: pair[0]):
            values = {name: getattr(shared, name) for name in _Row.__slots__}
            chosen = json.dumps([seq for _, seq in group])
            conn.execute(_SETTLE, {**fixed, **values, "seqs": chosen})
        self._shift(conn, target, shifts)
        states = {seq: DeliveryState(row.state) for row, seq in rows}
        if DeliveryState.DELIVERED in states.values():
            conn.execute(_DELIVERED_AT, (now_ms, target.target_id))
        return states

    def _decide(
        self, run: Run, verdict: Verdict, old: tuple[str, str, int, int] | None, now_ms: int
    ) -> _Row | None:
        """Return the row that *verdict* leads to; None if the event is delivered already."""
        result, outcome = verdict.result, verdict.result.outcome
        state, _, attempts, rejections = old or ("open", "", 0, 0)
        if state == DeliveryState.DELIVERED:
            return None
        rejections += outcome is Outcome.REJECTED
        new = next_state(DeliveryState(state), outcome, rejections=rejections, limit=run.limit)
        category = result.error_category or ""
        if outcome is Outcome.DUPLICATE:
            category = "duplicate"
        not_before = self._due(run, new, attempts + 1, now_ms)
        return _Row(new.value, category, rejections, not_before, result.error or "")

    def _due(self, run: Run, state: DeliveryState, attempts: int, now_ms: int) -> int:
        """Return when the row may be selected again: later than this run, within the hour."""
        if state is DeliveryState.PENDING:
            wanted = now_ms + pending_delay_ms(attempts)
        elif state is DeliveryState.TRANSIENT:
            wanted = now_ms + transient_delay_ms(attempts, self._jitter())
        elif state is DeliveryState.REJECTED:
            wanted = 0
        else:
            return 0
        return min(max(wanted, run.at + 1), run.at + HOUR_MS)

    def _pass(
        self,
        conn: sqlite3.Connection,
        target: Target,
        upto: int,
        settled: Iterable[int],
    ) -> Counter[str]:
        mark = conn.execute(_MARK, (target.target_id, target.epoch)).fetchone()[0]
        if upto <= mark:
            return Counter()
        held: Counter[str] = Counter()
        if sum(mark < seq <= upto for seq in settled) < upto - mark:
            where = {"target_id": target.target_id, "epoch": target.epoch}
            passed = Counter(conn.execute(_PASS, {**where, "mark": mark, "upto": upto}).fetchall())
            self._shift(conn, target, passed)
            for (state, category), n in passed.items():
                if state == DeliveryState.HELD:
                    held[category] += n
        conn.execute(_SET_MARK, (upto, target.target_id, target.epoch, upto))
        return held

    def hold(self, run: Run, reasons: dict[int, str]) -> None:
        """Hold events that turned out not to be sendable: seq → reason."""
        where = {"target_id": run.target.target_id, "epoch": run.target.epoch}
        with self._store.transaction() as conn:
            seqs = json.dumps(list(reasons))
            shifts: Counter[tuple[str, str]] = Counter()
            for _, state, category, *_ in conn.execute(_STANDING, {**where, "seqs": seqs}):
                shifts[state, category] -= 1
            by_reason: dict[str, list[int]] = {}
            for seq, reason in reasons.items():
                by_reason.setdefault(reason, []).append(seq)
            for reason, chosen in by_reason.items():
                conn.execute(_HOLD, {**where, "category": reason, "seqs": json.dumps(chosen)})
                shifts["held", reason] += len(chosen)
            self._shift(conn, run.target, shifts)

    def counts(self, target: Target, epoch: int | None = None) -> dict[tuple[str, str], int]:
        """Return (state, category) → number of events, from the maintained rows."""
        with self._store.reading() as conn:
            rows = conn.execute(_COUNTS, (target.target_id, epoch or target.epoch)).fetchall()
        return {(state, category): n for state, category, n in rows}

    def _shift(
        self, conn: sqlite3.Connection, target: Target, shifts: dict[tuple[str, str], int]
    ) -> None:
        conn.executemany(
            _COUNT,
            ((target.target_id, target.epoch, *key, n) for key, n in shifts.items() if n),
        )


def _spans(ordered: Sequence[int]) -> list[tuple[int, int]]:
    """Return the runs of consecutive numbers in *ordered* as (first, last)."""
    spans: list[tuple[int, int]] = []
    for seq in ordered:
        if spans and seq == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], seq)
        else:
            spans.append((seq, seq))
    return spans


def _log_row(
    target: Target, verdicts: Sequence[Verdict], answered: Answered, now_ms: int
) -> tuple[object, ...]:
    said = Counter(verdict.result.outcome for verdict in verdicts)
    return (
        target.target_id,
        target.epoch,
        now_ms,
        answered.endpoint,
        target.user_email or "",
        target.team_slug or "",
        target.deployment.deployment_id,
        answered.http_status,
        len(verdicts),
        said[Outcome.SUCCESS],
        said[Outcome.DUPLICATE],
        said[Outcome.PENDING],
        said[Outcome.REJECTED],
        said[Outcome.TERMINAL_FAILED],
        said[Outcome.TRANSIENT],
        answered.note,
    )
