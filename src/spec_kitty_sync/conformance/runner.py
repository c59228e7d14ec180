"""Runs checks, prerequisites first, and turns whatever happens into a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from spec_kitty_sync.conformance.catalogue import Catalogue, Requirement
from spec_kitty_sync.conformance.client import Client, NoConnection
from spec_kitty_sync.conformance.exchange import redact
from spec_kitty_sync.conformance.outcome import CheckResult, Finding, Outcome
from spec_kitty_sync.conformance.probe import (
    ControlFailed,
    NotApplicable,
    Probe,
    Surroundings,
)
from spec_kitty_sync.conformance.reply import CheckFailed
from spec_kitty_sync.conformance.suite import Case, Check, Suite

_SIBLINGS_ASKED = 16


@dataclass(frozen=True)
class _Ending:
    outcome: Outcome
    reason: str = ""
    finding: Finding | None = None


class Runner:
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
        self.suite = suite
        self.catalogue = catalogue
        self.around = surroundings
        self._pace = pace
        self._worker = worker
        self._client = Client(surroundings.address, surroundings.deadline_s)
        self._known: dict[tuple[str, str], CheckResult] = {}
        self._attempts = 0

    def selected(self, profile: str) -> Iterator[tuple[Requirement, Check, Case]]:
        """Yield every case of *profile* in the order of the catalogue."""
        for requirement in self.catalogue.selected(profile):
            check = self.suite.checks[requirement.id]
            for case in check.cases:
                yield requirement, check, case

    def run(self, check_id: str, case_name: str) -> CheckResult:
        """Run one case once; its prerequisites run before it, unless their result is known."""
        key = (check_id, case_name)
        if key not in self._known:
            self._known[key] = found = self._run(check_id, case_name)
            if found.finding is not None:
                self._known[key] = replace(found, siblings=self._siblings(check_id, case_name))
        return self._known[key]

    def _siblings(self, check_id: str, case_name: str) -> tuple[tuple[str, str], ...]:
        """Say how the other cases of a check ended: what they rule out narrows a finding."""
        others = [one for one in self.suite.checks[check_id].cases if one.name != case_name]
        if len(others) > _SIBLINGS_ASKED:
            return ()
        return tuple((f"[{one.name}]", self.run(check_id, one.name).in_short) for one in others)

    def _ruled_out(self, requirement: Requirement) -> tuple[str, ...]:
        """Return its prerequisites, and what else others build on and has passed already."""
        base = {needed for row in self.catalogue.requirements for needed in row.after}
        passed = {
            check_id
            for check_id in base
            if all(
                (check_id, case.name) in self._known
                and self._known[check_id, case.name].outcome is Outcome.PASSED
                for case in self.suite.checks[check_id].cases
            )
        }
        ids = (row.id for row in self.catalogue.requirements)
        return tuple(one for one in ids if one in passed or one in requirement.after)

    def again(self, check_id: str, case_name: str) -> CheckResult:
        """Run one case anew, with fresh ids, and forget what it gave before."""
        self._known.pop((check_id, case_name), None)
        return self.run(check_id, case_name)

    def close(self) -> None:
        """Close the connection to the receiver."""
        self._client.close()

    def _run(self, check_id: str, case_name: str) -> CheckResult:
        requirement = self.catalogue[check_id]
        check = self.suite.checks[check_id]
        case = next(case for case in check.cases if case.name == case_name)
        if requirement.capability and requirement.capability not in self.around.capabilities:
            reason = f"the receiver does not declare {requirement.capability!r}"
            return self._result(requirement, case, _Ending(Outcome.NOT_APPLICABLE, reason))
        blocker = self._blocker(requirement)
        if blocker is not None:
            reason = f"prerequisite {blocker.name} {blocker.outcome.value.replace('_', ' ')}"
            return self._result(requirement, case, _Ending(Outcome.NOT_RUN, reason))
        return self._attempt(requirement, check, case)

    def _blocker(self, requirement: Requirement) -> CheckResult | None:
        for needed in requirement.after:
            for case in self.suite.checks[needed].cases:
                result = self.run(needed, case.name)
                if result.outcome not in {
                    Outcome.PASSED,
                    Outcome.WARNING,
                    Outcome.NOT_APPLICABLE,
                }:
                    return result
        return None

    def _attempt(self, requirement: Requirement, check: Check, case: Case) -> CheckResult:
        self._attempts += 1
        # Two workers may both run a prerequisite: their events must not be each other's duplicates.
        scope = f"{check.id}/{case.name}/{self._worker}{self._attempts}"
        probe = Probe(self.around, scope, client=self._client, pace=self._pace)
        started = time.perf_counter()
        ending = _ending(requirement, check, case, probe)
        spent_ms = (time.perf_counter() - started) * 1000
        return self._result(requirement, case, ending, probe, spent_ms)

    def _result(
        self,
        requirement: Requirement,
        case: Case,
        ending: _Ending,
        probe: Probe | None = None,
        spent_ms: float = 0.0,
    ) -> CheckResult:
        exchanges = tuple(probe.exchanges) if probe else ()
        return CheckResult(
            check_id=requirement.id,
            case=case.name,
            level=requirement.level,
            outcome=ending.outcome,
            profile=requirement.profile,
            reason=ending.reason,
            finding=ending.finding,
            exchanges=tuple(redact(one, self.around.secrets) for one in exchanges),
            ruled_out=self._ruled_out(requirement) if ending.finding else (),
            duration_ms=round(spent_ms, 2),
            requests=probe.requests if probe else 0,
            events_sent=probe.events_sent if probe else 0,
            events_stored=probe.events_stored if probe else 0,
        )


def _ending(requirement: Requirement, check: Check, case: Case, probe: Probe) -> _Ending:
    try:
        check.run(probe, case)
    except CheckFailed as failed:
        outcome = Outcome.FAILED if requirement.decides else Outcome.WARNING
        return _Ending(outcome, str(failed), failed.finding)
    except NotApplicable as excuse:
        return _Ending(Outcome.NOT_APPLICABLE, str(excuse))
    except ControlFailed as control:
        return _Ending(Outcome.NOT_RUN, control.reason)
    except NoConnection as lost:
        return _Ending(Outcome.ERROR, str(lost))
    return _Ending(Outcome.PASSED)
