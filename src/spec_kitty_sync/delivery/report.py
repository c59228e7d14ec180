"""What a drain did, in numbers that add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from spec_kitty_sync.delivery.ledger import Recorded, Verdict
from spec_kitty_sync.delivery.states import DeliveryState
from spec_kitty_sync.events.results import ResultStatus

_EXAMPLES = 5
_MAX_GROUPS = 100


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a drain ended before its work did. `retry_at` is epoch milliseconds."""

    code: str
    message: str
    remedy: str
    http_status: int | None = None
    server_words: str = ""
    retry_at: int | None = None


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Events that failed alike, with a few of their ids."""

    state: DeliveryState
    category: str
    reason: str
    count: int
    example_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrainReport:
    """One drain of one target.

    selected = delivered + duplicates + pending + rejected + dead + terminal + transient + not_sent;
    `not_sent` had no answer recorded and is open again. `held` counts by reason what the mark
    passed in this run and what turned out not to be sendable. Times are epoch milliseconds;
    `first_batch_id` leads to every failure of this run: `history.failures_of_run`.
    """

    target_id: int
    endpoint: str
    started_at: int
    ended_at: int
    selected: int = 0
    delivered: int = 0
    duplicates: int = 0
    pending: int = 0
    rejected: int = 0
    dead: int = 0
    terminal: int = 0
    transient: int = 0
    not_sent: int = 0
    requests: int = 0
    bytes_sent: int = 0
    unknown_ids: int = 0
    waited_s: float = 0.0
    first_batch_id: int = 0
    held: dict[str, int] = field(default_factory=dict)
    failures: tuple[FailureGroup, ...] = ()
    stop: Stop | None = None

    @property
    def adds_up(self) -> bool:
        settled = (self.delivered, self.duplicates, self.pending, self.rejected, self.dead)
        rest = (self.terminal, self.transient, self.not_sent)
        return self.selected == sum(settled) + sum(rest)


_FIELD_OF = {
    DeliveryState.PENDING: "pending",
    DeliveryState.REJECTED: "rejected",
    DeliveryState.DEAD_LETTER: "dead",
    DeliveryState.TERMINAL_FAILED: "terminal",
    DeliveryState.TRANSIENT: "transient",
}


class Tally:
    """Counts while the drain runs."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.waited_s = 0.0
        self.first_batch_id = 0
        self._failures: dict[tuple[DeliveryState, str, str], list[str]] = {}
        self._failed: Counter[tuple[DeliveryState, str, str]] = Counter()

    @property
    def settled(self) -> int:
        """How many events of this run have an answer recorded."""
        return sum(self.numbers[name] for name in (*_FIELD_OF.values(), "delivered", "duplicates"))

    def add(self, verdicts: list[Verdict], recorded: Recorded) -> None:
        """Count what one answer led to."""
        self.held.update(recorded.held)
        states, success = recorded.states, ResultStatus.SUCCESS
        told = [result.status for seq, result in verdicts if seq not in states]
        self.numbers["delivered"] += (fresh := told.count(success))
        self.numbers["duplicates"] += len(told) - fresh
        for verdict in verdicts if states else ():
            state = states.get(verdict.seq)
            if state is None:
                continue
            self.numbers[_FIELD_OF[state]] += 1
            if state is not DeliveryState.PENDING:
                self._note_failure(verdict, state)

    def _note_failure(self, verdict: Verdict, state: DeliveryState) -> None:
        result = verdict.result
        key = (state, result.error_category or "unknown", result.error or "")
        if key not in self._failures and len(self._failures) >= _MAX_GROUPS:
            key = (state, key[1], "other reasons")
        self._failed[key] += 1
        examples = self._failures.setdefault(key, [])
        if len(examples) < _EXAMPLES:
            examples.append(result.event_id)

    def failures(self) -> tuple[FailureGroup, ...]:
        """Return the groups, the largest first."""
        return tuple(
            FailureGroup(*key, count=n, example_ids=tuple(self._failures[key]))
            for key, n in self._failed.most_common()
        )

    def report(
        self, *, target_id: int, endpoint: str, times: tuple[int, int], stop: Stop | None
    ) -> DrainReport:
        """Return the finished report; *times* are start and end."""
        numbers = dict(self.numbers)
        numbers["not_sent"] = self.numbers["selected"] - self.settled
        return DrainReport(
            target_id=target_id,
            endpoint=endpoint,
            started_at=times[0],
            ended_at=times[1],
            waited_s=self.waited_s,
            first_batch_id=self.first_batch_id,
            held=dict(self.held),
            failures=self.failures(),
            stop=stop,
            **numbers,
        )
