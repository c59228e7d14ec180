"""One batch from its first answer to the last event's: the senders' table of CONTRACT 5.

The batch is a queue of parts in journal order. An answer settles the first part, or splits it,
or ends the drain. Nothing here knows what kind of receiver answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._http import Reply
from spec_kitty_sync.delivery.answers import (
    ADDRESS,
    Answer,
    Fatal,
    Named,
    Refused,
    Results,
    Throttled,
    TooLarge,
    Trouble,
    Unauthorized,
    answered,
)
from spec_kitty_sync.delivery.backoff import throttle_delay_s
from spec_kitty_sync.delivery.ledger import Verdict
from spec_kitty_sync.delivery.receivers import DeliveryReceiver, WireEvent
from spec_kitty_sync.delivery.report import Stop
from spec_kitty_sync.errors import DeliveryError, OfflineError, TargetError, TransportError
from spec_kitty_sync.events.results import (
    HTML_PAGE,
    BatchResult,
    Correlation,
    Outcome,
    ResultStatus,
    categorize,
)

Failure = DeliveryError | TargetError
"""What sending may raise without a bug: no answer came, and why."""

_NAMED_ROUNDS = 5
_TROUBLE_TRIES = 2
_TROUBLE_WAIT_S = 1.0
_DEAD_SINGLES = 3
_TAKEN = frozenset({Outcome.SUCCESS, Outcome.DUPLICATE, Outcome.PENDING})
_LOGIN = "Run `spec-kitty auth login`, then `spec-kitty sync now`."
_AGAIN = "Run `spec-kitty sync now` again later; nothing was lost."


class DrainStopped(Exception):
    """Ends the drain from within; `stop` says why. Never leaves the dispatcher."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.code)
        self.stop = stop


@dataclass(slots=True)
class Part:
    """Some events of a batch that travel together.

    `suspect`: a request with all of them was refused, so they are split before they are sent.
    `rest`: what waits behind a suspect part. `reply`: the answer, where it is there already.
    """

    events: list[WireEvent]
    named_rounds: int = 0
    troubles: int = 0
    throttles: int = 0
    refreshed: bool = False
    suspect: bool = False
    rest: bool = False
    reply: Reply | Failure | None = None


@dataclass(slots=True)
class Patience:
    """What one whole run may still spend on a receiver that is in trouble."""

    wait_s: float
    failed_singles: int = 0


class Records(Protocol):
    """Where a settled answer goes. `last` is True for the one that completes the batch."""

    def __call__(
        self, verdicts: list[Verdict], *, status: int | None, last: bool, unknown_ids: int
    ) -> None: ...


@dataclass
class Settling:
    """Settles one batch; `settle` returns when each event has an outcome recorded."""

    receiver: DeliveryReceiver
    clock: Clock
    patience: Patience
    record: Records
    send: Callable[[list[WireEvent]], Reply | Failure]
    wait: Callable[[float], None]
    _parts: deque[Part] = field(default_factory=deque)
    _probed: bool = False
    _taken: bool = False

    def settle(self, events: list[WireEvent], reply: Reply | Failure) -> None:
        """Act on the first answer to all *events*, then on whatever follows from it.

        Raises:
            DrainStopped: the drain must end; what has no outcome is still claimed.
        """
        self._parts.append(Part(events, reply=reply))
        while self._parts:
            part = self._parts.popleft()
            if part.suspect and len(part.events) > 1:
                self._split_suspect(part)
            else:
                self._act(part, self._answer(part))

    def _answer(self, part: Part) -> Answer:
        """Return the answer to *part*, sending it unless its answer is there already."""
        reply = part.reply if part.reply is not None else self.send(part.events)
        part.reply = None
        if isinstance(reply, Reply):
            return self.receiver.read(reply, [event.event_id for event in part.events])
        if isinstance(reply, TransportError) and not isinstance(reply, OfflineError):
            return Trouble(reply.message)
        return Fatal(reply.code, reply.message, reply.remedy)

    def _act(self, part: Part, answer: Answer) -> None:
        if not isinstance(answer, Trouble | Throttled):
            self.patience.failed_singles = 0  # the server is there
        match answer:
            case Results():
                self._results(part, answer)
            case Named():
                self._named(part, answer)
            case Refused():
                self._refused(part, answer)
            case Unauthorized():
                self._unauthorized(part, answer.words)
            case TooLarge():
                self._too_large(part, answer)
            case Throttled():
                self._throttled(part, answer)
            case Trouble():
                self._trouble(part, answer)
            case Fatal():
                raise DrainStopped(_stop_of(answer))
            case _:
                assert_never(answer)

    def _results(self, part: Part, answer: Results) -> None:
        self._probed = True
        alone = len(part.events) == 1
        verdicts, locked_out = sort_results(
            part.events, answer.correlation, taken=self._taken and alone
        )
        self._taken = self._taken or any(verdict.result.outcome in _TAKEN for verdict in verdicts)
        if locked_out:
            self._parts.appendleft(Part(list(locked_out), refreshed=part.refreshed))
        if verdicts:
            self._record(verdicts, 200, unknown_ids=answer.correlation.unknown_ids)
        if locked_out:
            words = next(iter(locked_out.values()))
            self._unauthorized(self._parts.popleft(), words)

    def _named(self, part: Part, answer: Named) -> None:
        self._probed = True
        named = [event for event in part.events if event.event_id in answer.faults]
        others = [event for event in part.events if event.event_id not in answer.faults]
        rounds = part.named_rounds + 1
        if others:
            tired = rounds > _NAMED_ROUNDS
            self._parts.appendleft(Part(others, named_rounds=rounds, suspect=tired))
        self._reject(named, answer.faults, answer.status)

    def _refused(self, part: Part, answer: Refused) -> None:
        if not self._probed:
            self._probed = True
            self._probe(part, answer)
        elif len(part.events) > 1:
            self._parts.appendleft(Part(part.events, suspect=True))
        else:
            reason = answer.words or "refused without a reason"
            self._reject(part.events, {part.events[0].event_id: reason}, answer.status)

    def _probe(self, part: Part, answer: Refused) -> None:
        """Ask the first event alone, then the last: is the request at fault, or an event?"""
        first, middle, last = part.events[:1], part.events[1:-1], part.events[1:][-1:]
        if not last:
            raise DrainStopped(_refuses_all(answer, first))
        first_reply = self.send(first)
        first_answer = self._answer(Part(first, reply=first_reply))
        if not isinstance(first_answer, Refused):
            self._parts.appendleft(Part(middle + last, suspect=True))
            self._parts.appendleft(Part(first, reply=first_reply))
            return
        last_reply = self.send(last)
        last_answer = self._answer(Part(last, reply=last_reply))
        if isinstance(last_answer, Refused) and last_answer.words == first_answer.words:
            raise DrainStopped(_refuses_all(last_answer, first + last))
        self._parts.appendleft(Part(last, reply=last_reply))
        if middle:
            self._parts.appendleft(Part(middle))
        self._parts.appendleft(Part(first, reply=first_reply))

    def _split_suspect(self, part: Part) -> None:
        """Send the left half; where it passes, the culprit is in the right one.

        Whatever lies behind a culprit is gathered and sent in one piece.
        """
        left, right = _halves(part.events)
        reply = self.send(left)
        if isinstance(self._answer(Part(left, reply=reply)), Refused):
            self._push_rest(right)
            self._parts.appendleft(Part(left, suspect=True, reply=reply))
        else:
            self._parts.appendleft(Part(right, suspect=True))
            self._parts.appendleft(Part(left, reply=reply))

    def _push_rest(self, events: list[WireEvent]) -> None:
        if self._parts and self._parts[0].rest:
            events = events + self._parts.popleft().events
        self._parts.appendleft(Part(events, rest=True))

    def _unauthorized(self, part: Part, words: str) -> None:
        if part.refreshed or not self.receiver.refresh():
            raise DrainStopped(
                Stop("auth_expired", "the receiver does not accept the token", _LOGIN, 401, words)
            )
        part.refreshed = True
        self._parts.appendleft(part)

    def _too_large(self, part: Part, answer: TooLarge) -> None:
        if len(part.events) > 1:
            self._push_halves(part)
            return
        reason = answer.words or "larger than the receiver takes"
        self._reject_alone(part, ResultStatus.FAILED_PERMANENT, reason, "too_large", status=413)

    def _throttled(self, part: Part, answer: Throttled) -> None:
        part.throttles += 1
        delay_s = answer.after_s or throttle_delay_s(part.throttles)
        if not delay_s <= self.patience.wait_s:  # a NaN waits for nothing
            retry_at = self.clock.now_ms() + int(delay_s * 1000)
            message = f"the receiver asks to come back in {delay_s:.0f} s"
            raise DrainStopped(
                Stop("throttled", message, _AGAIN, answer.status, answer.words, retry_at)
            )
        self.patience.wait_s -= delay_s
        self._parts.appendleft(part)
        self.wait(delay_s)

    def _trouble(self, part: Part, answer: Trouble) -> None:
        part.troubles += 1
        if part.troubles < _TROUBLE_TRIES:
            self._parts.appendleft(part)
            self.wait(_TROUBLE_WAIT_S)
        elif len(part.events) > 1:
            self._push_halves(part)
        else:
            self.patience.failed_singles += 1
            status = ResultStatus.FAILED_TRANSIENT
            self._reject_alone(part, status, answer.words, "server_error", status=answer.status)
            if self.patience.failed_singles >= _DEAD_SINGLES:
                message = "the server failed for three single events in a row"
                remedy = ADDRESS if answer.words.endswith(HTML_PAGE) else _AGAIN
                raise DrainStopped(
                    Stop("server_down", message, remedy, answer.status, answer.words)
                )

    def _push_halves(self, part: Part) -> None:
        left, right = _halves(part.events)
        self._parts.appendleft(Part(right))
        self._parts.appendleft(Part(left))

    def _reject(self, events: Sequence[WireEvent], reasons: Mapping[str, str], status: int) -> None:
        verdicts = []
        for event in events:
            reason = reasons[event.event_id]
            category = categorize(reason)
            if category in ("server_error", "auth_expired"):
                # A refusal of the content: those words say something about the event here.
                category = "unknown"
            result = BatchResult(event.event_id, ResultStatus.REJECTED, reason, category)
            verdicts.append(Verdict(event.seq, result))
        self._record(verdicts, status)

    def _reject_alone(
        self, part: Part, word: ResultStatus, reason: str, category: str, *, status: int | None
    ) -> None:
        (event,) = part.events
        result = BatchResult(event.event_id, word, reason, category)
        self._record([Verdict(event.seq, result)], status)

    def _record(self, verdicts: list[Verdict], status: int | None, *, unknown_ids: int = 0) -> None:
        self.record(verdicts, status=status, last=not self._parts, unknown_ids=unknown_ids)


def sort_results(
    events: Sequence[WireEvent], correlation: Correlation, *, taken: bool = False
) -> tuple[list[Verdict], dict[WireEvent, str]]:
    """Return what to record, and the events that were refused for the token, with the words.

    Words alone ("the token field is missing") speak of the login only while the receiver took no
    event with it: *taken* before, or in this answer. Else one such event would end every drain.
    """
    results = correlation.results
    verdicts = [Verdict(event[0], result) for event, result in zip(events, results, strict=True)]
    rejected = ResultStatus.REJECTED
    locked = {i for i, result in enumerate(results) if result[1] is rejected and result.needs_login}
    if not locked:
        return verdicts, {}
    if taken or any(result.outcome in _TAKEN for result in results):
        for i in [i for i in locked if results[i].guessed]:
            locked.remove(i)
            verdicts[i] = Verdict(events[i][0], results[i]._replace(error_category="unknown"))
    kept = [verdict for i, verdict in enumerate(verdicts) if i not in locked]
    return kept, {events[i]: results[i].error or "" for i in sorted(locked)}


def _halves(events: list[WireEvent]) -> tuple[list[WireEvent], list[WireEvent]]:
    middle = (len(events) + 1) // 2
    return events[:middle], events[middle:]


def _stop_of(answer: Fatal) -> Stop:
    message = answer.words
    if answer.status is not None:
        message = answered(answer.status, answer.words)
    return Stop(answer.code, message, answer.remedy, answer.status, answer.words)


def _refuses_all(answer: Refused, asked: Sequence[WireEvent]) -> Stop:
    ids = " and ".join(event.event_id for event in asked)
    alone = f"{ids}, each alone, with the same words" if len(asked) > 1 else f"{ids} alone"
    return Stop(
        "receiver_refuses_all",
        f"the receiver refuses {alone}: the request is taken to be at fault, no event is blamed",
        "Check that `spec-kitty sync server` names an event receiver. Where its words are about "
        "the event: correct it with `spec-kitty sync replace EVENT_ID --file FILE`, or give it up "
        "with `spec-kitty sync discard EVENT_ID --reason TEXT`.",
        answer.status,
        answer.words,
    )
