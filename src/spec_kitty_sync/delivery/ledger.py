"""Who has been told of what: claim, record, hold, reopen (CONTRACT 6, Ledger).

Claim and record are two short transactions around the network. A claim that nobody recorded is
released by the next holder of the drain lock: its events are open again.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.backoff import pending_delay_ms, transient_delay_ms
from spec_kitty_sync.delivery.counting import StateKey, shift_counts
from spec_kitty_sync.delivery.runs import Run, release_claim, retired
from spec_kitty_sync.delivery.states import DeliveryState, next_state
from spec_kitty_sync.delivery.targets import Target, check_standing
from spec_kitty_sync.events.results import BatchResult, Outcome, ResultStatus

_NEXT_CLAIM = "SELECT coalesce(max(claim_id), 0) + 1 FROM delivery_claims"
_CLAIM = """
INSERT INTO delivery_claims(claim_id, first_seq, last_seq, target_id, epoch, claimed_at)
VALUES (?, ?, ?, ?, ?, ?)
"""
_UNCLAIM = "DELETE FROM delivery_claims WHERE claim_id = ?"
_TOP = """
SELECT coalesce(max(seq), 0) FROM delivery_ledger WHERE target_id = :target_id AND epoch = :epoch
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
_LOG = """
INSERT INTO delivery_log(target_id, epoch, at, endpoint, user_email, team_slug, deployment_id,
    http_status, events, delivered, duplicates, pending, rejected, terminal, transient, note)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DELIVERED_AT = "UPDATE delivery_targets SET last_delivery_at = ? WHERE target_id = ?"


class Verdict(NamedTuple):
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
class Recorded:
    """The new state of each event that is not delivered, and what the mark held on its way."""

    states: dict[int, DeliveryState]
    held: Counter[str] = field(default_factory=Counter)


class _Row(NamedTuple):
    """All that rows settled alike share: they are written by one statement."""

    state: str
    category: str
    rejections: int
    not_before: int
    reason: str


_DELIVERED = _Row(DeliveryState.DELIVERED.value, "", 0, 0, "")


class SqliteLedger:
    """The ledger of one home, beside the journal in the same database.

    What writes for a run raises TargetChangedError, and writes nothing, where the run's target
    and epoch are no longer those of the database.
    """

    def __init__(
        self, store: Store, *, clock: Clock, jitter: Callable[[], float] = lambda: 0.5
    ) -> None:
        self._store = store
        self._clock = clock
        self._jitter = jitter

    def claim(self, run: Run, seqs: Sequence[int]) -> int:
        """Note durably that *seqs* may be on the wire from now on; return the claim's number."""
        ordered = sorted(seqs)
        now_ms = self._clock.now_ms()
        with self._store.transaction() as conn:
            if not check_standing(conn, run.target).active:
                raise retired(run.target)
            claim = int(conn.execute(_NEXT_CLAIM).fetchone()[0])
            where = (run.target.target_id, run.target.epoch, now_ms)
            conn.executemany(_CLAIM, ((claim, *span, *where) for span in _spans(ordered)))
        return claim

    def release(self, run: Run, claim: int) -> None:
        """Open what is left of *claim*: it was not answered, and nobody's counts move."""
        with self._store.transaction() as conn:
            check_standing(conn, run.target)
            release_claim(conn, claim)

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
            check_standing(conn, run.target)
            groups = self._settle(conn, run, verdicts, answered) if verdicts else {}
            held: Counter[str] = Counter()
            if passes is not None:
                settled = [verdict.seq for verdict in verdicts]
                held = self._pass(conn, run.target, passes, settled)
            if closes is not None:
                conn.execute(_UNCLAIM, (closes,))
        undelivered = {
            seq: DeliveryState(row.state)
            for row, seqs in groups.items()
            if row.state != DeliveryState.DELIVERED
            for seq in seqs
        }
        return Recorded(undelivered, held)

    def _settle(
        self,
        conn: sqlite3.Connection,
        run: Run,
        verdicts: Sequence[Verdict],
        answered: Answered,
    ) -> dict[_Row, list[int]]:
        """Write the rows, grouped by what they share, and move the counts with them."""
        target, now_ms = run.target, self._clock.now_ms()
        where = {"target_id": target.target_id, "epoch": target.epoch}
        standing = self._standing(conn, run, [verdict.seq for verdict in verdicts])
        groups: dict[_Row, list[int]] = defaultdict(list)
        shifts: Counter[StateKey] = Counter()
        for verdict in verdicts:
            old = standing.get(verdict.seq)
            row = self._decide(run, verdict.result, old, now_ms)
            if row is not None:
                groups[row].append(verdict.seq)
                if old is not None:
                    shifts[old[0], old[1]] -= 1
        batch = conn.execute(_LOG, _log_row(target, groups, answered, now_ms)).lastrowid
        fixed = {**where, "at": now_ms, "http_status": answered.http_status, "batch_id": batch}
        for row, chosen in groups.items():
            conn.execute(_SETTLE, {**fixed, **row._asdict(), "seqs": json.dumps(chosen)})
            shifts[row.state, row.category] += len(chosen)
            if row.state == DeliveryState.DELIVERED:
                conn.execute(_DELIVERED_AT, (now_ms, target.target_id))
        shift_counts(conn, target.target_id, target.epoch, shifts)
        return groups

    def _standing(
        self, conn: sqlite3.Connection, run: Run, seqs: list[int]
    ) -> dict[int, tuple[str, str, int, int]]:
        """Return seq → (state, category, attempts, rejections) of those that have a row."""
        where = {"target_id": run.target.target_id, "epoch": run.target.epoch}
        top = conn.execute(_TOP, where).fetchone()[0]
        if min(seqs) > top:
            return {}
        rows = conn.execute(_STANDING, {**where, "seqs": json.dumps(seqs)})
        return {row[0]: row[1:] for row in rows}

    def _decide(
        self, run: Run, result: BatchResult, old: tuple[str, str, int, int] | None, now_ms: int
    ) -> _Row | None:
        """Return the row that *result* leads to; None if the event is delivered already."""
        if result.status is ResultStatus.SUCCESS and (old is None or not old[3]):
            return None if old and old[0] == DeliveryState.DELIVERED else _DELIVERED
        state, _, attempts, rejections = old or ("open", "", 0, 0)
        if state == DeliveryState.DELIVERED:
            return None
        outcome = result.outcome
        rejections += outcome is Outcome.REJECTED
        limit = run.max_rejections
        new = next_state(DeliveryState(state), outcome, rejections=rejections, limit=limit)
        category = result.error_category or ""
        if outcome is Outcome.DUPLICATE:
            category = "duplicate"
        not_before = self._due(run, new, attempts + 1, now_ms)
        return _Row(new.value, category, rejections, not_before, result.error or "")

    def _due(self, run: Run, state: DeliveryState, attempts: int, now_ms: int) -> int:
        """Return when the row may be selected again: later than this run began."""
        if state is DeliveryState.PENDING:
            wanted = now_ms + pending_delay_ms(attempts)
        elif state is DeliveryState.TRANSIENT:
            wanted = now_ms + transient_delay_ms(attempts, self._jitter())
        elif state is DeliveryState.REJECTED:
            wanted = 0
        else:
            return 0
        return max(wanted, run.at + 1)

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
            shift_counts(conn, target.target_id, target.epoch, passed)
            for (state, category), n in passed.items():
                if state == DeliveryState.HELD:
                    held[category] += n
        conn.execute(_SET_MARK, (upto, target.target_id, target.epoch, upto))
        return held

    def hold(self, run: Run, reasons: dict[int, str]) -> None:
        """Hold events that turned out not to be sendable: seq → reason."""
        where = {"target_id": run.target.target_id, "epoch": run.target.epoch}
        with self._store.transaction() as conn:
            check_standing(conn, run.target)
            shifts: Counter[StateKey] = Counter()
            for state, category, *_ in self._standing(conn, run, list(reasons)).values():
                shifts[state, category] -= 1
            by_reason: dict[str, list[int]] = {}
            for seq, reason in reasons.items():
                by_reason.setdefault(reason, []).append(seq)
            for reason, chosen in by_reason.items():
                conn.execute(_HOLD, {**where, "category": reason, "seqs": json.dumps(chosen)})
                shifts["held", reason] += len(chosen)
            shift_counts(conn, run.target.target_id, run.target.epoch, shifts)


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
    target: Target, groups: Mapping[_Row, Sequence[int]], answered: Answered, now_ms: int
) -> tuple[object, ...]:
    n: Counter[str] = Counter()
    for row, seqs in groups.items():
        n["duplicate" if row.category == "duplicate" else row.state] += len(seqs)
    return (
        target.target_id,
        target.epoch,
        now_ms,
        answered.endpoint,
        target.user_email or "",
        target.team_slug or "",
        target.deployment.deployment_id,
        answered.http_status,
        n.total(),
        n[DeliveryState.DELIVERED],
        n["duplicate"],
        n[DeliveryState.PENDING],
        n[DeliveryState.REJECTED] + n[DeliveryState.DEAD_LETTER],
        n[DeliveryState.TERMINAL_FAILED],
        n[DeliveryState.TRANSIENT],
        answered.note,
    )
