"""Runs cases, prerequisites first, and turns whatever happens into a result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, replace

from spec_kitty_sync.conformance.catalogue import Catalogue, Requirement
from spec_kitty_sync.conformance.exchange import Exchange
from spec_kitty_sync.conformance.outcome import CheckResult, Finding, Outcome, Suspect
from spec_kitty_sync.conformance.probe import ControlFailed, NotApplicable
from spec_kitty_sync.conformance.reply import CheckFailed
from spec_kitty_sync.conformance.suite import Case, Check, Suite

_SIBLINGS_ASKED = 16
_HOLDS = frozenset({Outcome.PASSED, Outcome.WARNING, Outcome.NOT_APPLICABLE})


@dataclass(frozen=True)
class Ending:
    """How a case ended."""

    outcome: Outcome
    reason: str = ""
    finding: Finding | None = None
    suspects: tuple[Suspect, ...] = ()


class CaseRunner(ABC):
    """Runs the checks of one suite against one subject; keeps what is already known."""

    declares = "the receiver does not declare"

    def __init__(self, suite: Suite, catalogue: Catalogue, capabilities: Set[str]) -> None:
        self.suite = suite
        self.catalogue = catalogue
        self._capabilities = capabilities
        self._known: dict[tuple[str, str], CheckResult] = {}

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

    def alone(self, check_id: str, case_name: str) -> CheckResult:
        """Run one case whatever its prerequisites say."""
        requirement, check, case = self._named(check_id, case_name)
        unasked = self._unasked(requirement, case)
        return unasked or self.attempt(requirement, check, case)

    @abstractmethod
    def attempt(self, requirement: Requirement, check: Check, case: Case) -> CheckResult:
        """Run one case now."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the runner holds."""

    def ruled_out(self, requirement: Requirement) -> tuple[str, ...]:
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

    def _siblings(self, check_id: str, case_name: str) -> tuple[tuple[str, str], ...]:
        """Say how the other cases of a check ended: what they rule out narrows a finding."""
        others = [one for one in self.suite.checks[check_id].cases if one.name != case_name]
        if len(others) > _SIBLINGS_ASKED:
            return ()
        return tuple((f"[{one.name}]", self.run(check_id, one.name).in_short) for one in others)

    def _run(self, check_id: str, case_name: str) -> CheckResult:
        requirement, check, case = self._named(check_id, case_name)
        unasked = self._unasked(requirement, case)
        if unasked is not None:
            return unasked
        blocker = self._blocker(requirement)
        if blocker is not None:
            reason = f"prerequisite {blocker.name} {blocker.outcome.value.replace('_', ' ')}"
            if blocker.outcome is Outcome.NOT_RUN and not blocker.exchanges:
                reason = blocker.reason  # the end of the chain, not its next link
            return result_of(requirement, case, Ending(Outcome.NOT_RUN, reason))
        return self.attempt(requirement, check, case)

    def _named(self, check_id: str, case_name: str) -> tuple[Requirement, Check, Case]:
        check = self.suite.checks[check_id]
        case = next(case for case in check.cases if case.name == case_name)
        return self.catalogue[check_id], check, case

    def _unasked(self, requirement: Requirement, case: Case) -> CheckResult | None:
        if not requirement.capability or requirement.capability in self._capabilities:
            return None
        reason = f"{self.declares} {requirement.capability!r}"
        return result_of(requirement, case, Ending(Outcome.NOT_APPLICABLE, reason))

    def _blocker(self, requirement: Requirement) -> CheckResult | None:
        for needed in requirement.after:
            for case in self.suite.checks[needed].cases:
                result = self.run(needed, case.name)
                if result.outcome not in _HOLDS:
                    return result
        return None


def ending_of(
    requirement: Requirement,
    body: Callable[[], None],
    *,
    broken: type[Exception] | tuple[type[Exception], ...],
) -> Ending:
    """Run the *body* of a case and return how it ended; *broken*: the kit could not do its part."""
    try:
        body()
    except CheckFailed as failed:
        outcome = Outcome.FAILED if requirement.decides else Outcome.WARNING
        return Ending(outcome, str(failed), failed.finding)
    except NotApplicable as excuse:
        return Ending(Outcome.NOT_APPLICABLE, str(excuse))
    except ControlFailed as control:
        return Ending(Outcome.NOT_RUN, control.reason)
    except broken as wrong:
        return Ending(Outcome.ERROR, str(wrong))
    return Ending(Outcome.PASSED)


def result_of(
    requirement: Requirement,
    case: Case,
    ending: Ending,
    *,
    exchanges: tuple[Exchange, ...] = (),
    ruled_out: tuple[str, ...] = (),
    **figures: float,
) -> CheckResult:
    """Return the result of a case; *figures* are those of `CheckResult`."""
    return CheckResult(
        check_id=requirement.id,
        case=case.name,
        level=requirement.level,
        outcome=ending.outcome,
        profile=requirement.profile,
        reason=ending.reason,
        finding=ending.finding,
        exchanges=exchanges,
        ruled_out=ruled_out if ending.finding else (),
        suspects=ending.suspects,
        duration_ms=round(figures.get("duration_ms", 0.0), 2),
        requests=int(figures.get("requests", 0)),
        events_sent=int(figures.get("events_sent", 0)),
        events_stored=int(figures.get("events_stored", 0)),
    )
