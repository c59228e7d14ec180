"""Runs checks against a receiver over one connection, at the pace that was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from spec_kitty_sync.conformance.case_runner import CaseRunner, Ending, ending_of, result_of
from spec_kitty_sync.conformance.catalogue import Catalogue, Requirement
from spec_kitty_sync.conformance.client import Client, NoConnection
from spec_kitty_sync.conformance.exchange import redact
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome
from spec_kitty_sync.conformance.probe import RESTART_PATIENCE_S, Probe, Surroundings
from spec_kitty_sync.conformance.reply import Reply
from spec_kitty_sync.conformance.suite import Case, Check, Suite


class Runner(CaseRunner):
    """Runs the checks of one suite against one receiver; keeps what is already known."""

    def __init__(
        self,
        suite: Suite,
        catalogue: Catalogue,
        surroundings: Surroundings,
        *,
        pace: Callable[[], None] | None = None,
        worker: str = "",
    ) -> None:
        super().__init__(suite, catalogue, surroundings.capabilities)
        self.around = surroundings
        self._pace = pace
        self._worker = worker
        self._client = Client(surroundings.address, surroundings.deadline_s)
        self._attempts = 0
        self._last_answered = ""
        self._died_at = ""
        self._told_gone = False

    def again(self, check_id: str, case_name: str) -> CheckResult:
        """Run one case anew, with fresh ids, and forget what it gave before."""
        self._known.pop((check_id, case_name), None)
        return self.run(check_id, case_name)

    def close(self) -> None:
        """Close the connection to the receiver."""
        self._client.close()

    def _in_the_end(self, ending: Ending, probe: Probe, name: str) -> Ending:
        """Return how the case *name* ended, when the receiver may have gone during it.

        A connection that broke and cannot be made again is its death. After that the rest did
        not run; a receiver that has gone between two cases is told once.
        """
        if ending.outcome is not Outcome.ERROR:
            if probe.exchanges:
                self._last_answered, self._told_gone = name, False
                self._died_at = name if probe.exchanges[-1].broke else ""
            return ending
        broken = [place for place, one in enumerate(probe.exchanges, 1) if one.broke]
        if broken:
            self._died_at = name
            failed = Reply(probe.exchanges[broken[-1] - 1], broken[-1]).fail(
                "an HTTP answer", means="the receiver died of this request"
            )
            return Ending(Outcome.FAILED, str(failed), failed.finding)
        if self._died_at:
            reason = f"the receiver died at {self._died_at} and accepts no connections since"
            return Ending(Outcome.NOT_RUN, reason)
        reason = f"the receiver accepts no connections since {self._last_answered or 'the start'}"
        if self._told_gone:
            return Ending(Outcome.NOT_RUN, reason)
        self._told_gone = True
        return replace(ending, reason=f"{ending.reason}; {reason}")

    def attempt(self, requirement: Requirement, check: Check, case: Case) -> CheckResult:
        """Run one case now, with ids of its own."""
        self._attempts += 1
        if self._died_at:
            self._client.comes_back(RESTART_PATIENCE_S)
        # Two workers may both run a prerequisite: their events must not be each other's duplicates.
        scope = f"{check.id}/{case.name}/{self._worker}{self._attempts}"
        probe = Probe(self.around, scope, client=self._client, pace=self._pace)
        started = time.perf_counter()
        ending = ending_of(requirement, lambda: check.run(probe, case), broken=NoConnection)
        ending = self._in_the_end(
            ending, probe, f"{check.id}[{case.name}]" if case.name else check.id
        )
        return result_of(
            requirement,
            case,
            ending,
            ruled_out=self.ruled_out(requirement),
            exchanges=tuple(redact(one, self.around.secrets) for one in probe.exchanges),
            duration_ms=(time.perf_counter() - started) * 1000,
            requests=probe.requests,
            events_sent=probe.events_sent,
            events_stored=probe.events_stored,
        )
