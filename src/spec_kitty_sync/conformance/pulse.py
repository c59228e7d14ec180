"""Whether the receiver still lives, and which request it may have died of."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from spec_kitty_sync.conformance.case_runner import Ending
from spec_kitty_sync.conformance.client import TOOK_NONE
from spec_kitty_sync.conformance.exchange import Exchange
from spec_kitty_sync.conformance.outcome import FOUND, Outcome, Suspect
from spec_kitty_sync.conformance.reply import Reply

_FIRST_EVENT: Final = "the one valid event of the preflight"


@dataclass
class Pulse:
    """What is known of a receiver's life from the requests of one process.

    `alone`: no other process of this run sends to it, so what breaks here broke of a request here.
    """

    alone: bool
    died_at: str = ""
    _latest: Suspect | None = field(default=None, repr=False)
    _told_gone: bool = field(default=False, repr=False)

    @property
    def is_lost(self) -> bool:
        """Whether it was not there when it was last needed."""
        return bool(self.died_at) or self._told_gone

    def felt(self, ending: Ending, exchanges: Sequence[Exchange], name: str) -> Ending:
        """Return how the case *name* ended, when the receiver may have gone during it.

        A connection that broke and cannot be made again is its death. After that the rest did
        not run; a receiver that has gone after an answer is told once, with that request.
        """
        before = self._latest
        if exchanges:
            self._latest = _suspect(name, exchanges, len(exchanges))
        lost = ending.outcome is Outcome.ERROR
        broken = _broken_step(ending, exchanges)
        doubtful = broken or _cut_off_step(ending, exchanges)
        if not self.alone and doubtful:
            return self._in_doubt(name, exchanges, doubtful, before)
        if lost and broken:
            return self._died_of(name, exchanges, broken, before)
        if lost and TOOK_NONE in ending.reason:
            return ending  # busy or out of reach: nobody refused, so nobody died
        if lost:
            return self._gone(ending, exchanges)
        if exchanges:
            self._told_gone = False
            self.died_at = name if exchanges[-1].broke else ""
        if broken and ending.outcome in FOUND:
            return replace(ending, suspects=_answered(name, exchanges, broken, before))
        return ending

    def _died_of(
        self, name: str, exchanges: Sequence[Exchange], step: int, before: Suspect | None
    ) -> Ending:
        self.died_at = name
        self.suspects = _answered(name, exchanges, step, before)
        others = _at_once(exchanges, step) - 1
        means = "the receiver died of this request"
        means += f", or of one of the {others} sent at the same time" if others else ""
        failed = Reply(exchanges[step - 1], step).fail("an HTTP answer", means=means)
        earlier = _answered(name, exchanges, step, before)
        return Ending(Outcome.FAILED, str(failed), failed.finding, earlier)

    def _in_doubt(
        self, name: str, exchanges: Sequence[Exchange], step: int, before: Suspect | None
    ) -> Ending:
        own = _suspect(name, exchanges, step)
        self._told_gone = True
        return Ending(
            Outcome.ERROR,
            f"step {step} got no answer ({own.exchange.broke or 'it was cut off'}) while other"
            " workers had requests on their way: it may be the doing of one of those",
            suspects=(own, *_answered(name, exchanges, step, before)),
        )

    def _gone(self, ending: Ending, exchanges: Sequence[Exchange]) -> Ending:
        if self.died_at:
            reason = f"the receiver died at {self.died_at} and accepts no connections since"
            return Ending(Outcome.NOT_RUN, reason)
        last = self._latest
        place = f"{last.name}, step {last.step}" if last else _FIRST_EVENT
        if self._told_gone:
            reason = f"the receiver accepts no connections since {place}"
            return Ending(Outcome.NOT_RUN, reason)
        self._told_gone = True
        if last is None:
            return replace(ending, reason=f"{ending.reason}; the last it answered was {place}")
        return replace(
            ending,
            suspects=(last,),
            reason=f"{ending.reason}; {_since(last.exchange)} before, it still answered {place}",
        )


def _suspect(name: str, exchanges: Sequence[Exchange], step: int) -> Suspect:
    return Suspect(name, step, exchanges[step - 1], _at_once(exchanges, step))


def _answered(
    name: str, exchanges: Sequence[Exchange], step: int, before: Suspect | None
) -> tuple[Suspect, ...]:
    """Return the request that was answered last before *step*, if one was."""
    for place in range(step - 1, 0, -1):
        if not exchanges[place - 1].broke:
            return (_suspect(name, exchanges, place),)
    return (before,) if before is not None and not before.exchange.broke else ()


def _broken_step(ending: Ending, exchanges: Sequence[Exchange]) -> int:
    """Return the step without an answer that the case ended by, or 0."""
    if ending.outcome is Outcome.ERROR:
        broken = [place for place, one in enumerate(exchanges, 1) if one.broke]
        return broken[-1] if broken else 0
    step = ending.finding.step if ending.finding else 0
    return step if step and exchanges[step - 1].broke else 0


def _cut_off_step(ending: Ending, exchanges: Sequence[Exchange]) -> int:
    """Return the step that was found against an answer cut off in its middle, or 0."""
    step = ending.finding.step if ending.finding else 0
    return step if step and exchanges[step - 1].is_cut_off else 0


def _at_once(exchanges: Sequence[Exchange], step: int) -> int:
    """Return how many requests, that of *step* included, were on their way together with it."""
    one = exchanges[step - 1]
    over = one.started_ms + one.elapsed_ms
    return sum(
        other is one
        # Starts are whole milliseconds: less than one in common says nothing.
        or max(other.started_ms, one.started_ms) + 1
        < min(over, other.started_ms + other.elapsed_ms)
        for other in exchanges
    )


def _since(exchange: Exchange) -> str:
    passed_ms = time.time_ns() // 1_000_000 - exchange.started_ms - exchange.elapsed_ms
    return f"{max(0, passed_ms):.0f} ms" if passed_ms < 10_000 else f"{passed_ms / 1000:.0f} s"
