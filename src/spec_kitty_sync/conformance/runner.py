"""Runs checks against a receiver over one connection, at the pace that was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from spec_kitty_sync.conformance.case_runner import CaseRunner, ending_of, result_of
from spec_kitty_sync.conformance.catalogue import Catalogue, Requirement
from spec_kitty_sync.conformance.client import Client, NoConnection
from spec_kitty_sync.conformance.exchange import redact
from spec_kitty_sync.conformance.outcome import CheckResult
from spec_kitty_sync.conformance.probe import RESTART_PATIENCE_S, Probe, Surroundings
from spec_kitty_sync.conformance.pulse import Pulse
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
        self._pulse = Pulse(surroundings.alone)

    def again(self, check_id: str, case_name: str) -> CheckResult:
        """Run one case anew, with fresh ids, and forget what it gave before."""
        self._known.pop((check_id, case_name), None)
        return self.run(check_id, case_name)

    def comes_back(self) -> bool:
        """Return whether the receiver takes connections, now or after some patience."""
        return self._client.comes_back(RESTART_PATIENCE_S)

    def close(self) -> None:
        """Close the connection to the receiver."""
        self._client.close()

    def attempt(self, requirement: Requirement, check: Check, case: Case) -> CheckResult:
        """Run one case now, with ids of its own."""
        self._attempts += 1
        if self._pulse.is_lost:
            self.comes_back()
        # Two workers may both run a prerequisite: their events must not be each other's duplicates.
        scope = f"{check.id}/{case.name}/{self._worker}{self._attempts}"
        probe = Probe(self.around, scope, client=self._client, pace=self._pace)
        started = time.perf_counter()
        ending = ending_of(requirement, lambda: check.run(probe, case), broken=NoConnection)
        exchanges = tuple(redact(one, self.around.secrets) for one in probe.exchanges)
        name = f"{check.id}[{case.name}]" if case.name else check.id
        ending = self._pulse.felt(ending, exchanges, name)
        if ending.finding and ending.suspects and self.comes_back():
            ending = replace(ending, suspects=())  # it lives: that connection alone broke
        return result_of(
            requirement,
            case,
            ending,
            ruled_out=self.ruled_out(requirement),
            exchanges=exchanges,
            duration_ms=(time.perf_counter() - started) * 1000,
            requests=probe.requests,
            events_sent=probe.events_sent,
            events_stored=probe.events_stored,
        )
