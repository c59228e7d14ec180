"""Runs checks of command-line tools: each case in a folder of its own, against one stub."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync.conformance.adapter import Adapter, AdapterError
from spec_kitty_sync.conformance.catalogue import Catalogue, Requirement
from spec_kitty_sync.conformance.outcome import CheckResult, Finding, Outcome
from spec_kitty_sync.conformance.probe import ControlFailed, NotApplicable
from spec_kitty_sync.conformance.reply import CheckFailed
from spec_kitty_sync.conformance.stub import StubServer
from spec_kitty_sync.conformance.suite import Case, Check, Suite
from spec_kitty_sync.conformance.trial import RUN, Trial

_GOOD = frozenset({Outcome.PASSED, Outcome.WARNING, Outcome.NOT_APPLICABLE})


@dataclass(frozen=True)
class _Ending:
    outcome: Outcome
    reason: str = ""
    finding: Finding | None = None


MakeTrial = Callable[[Adapter, StubServer, Path], Trial]


class TrialRunner:
    """Runs the checks of one suite against one tool; keeps what is already known."""

    def __init__(
        self, suite: Suite, catalogue: Catalogue, adapter: Adapter, *, make: MakeTrial
    ) -> None:
        self.suite = suite
        self.catalogue = catalogue
        self.adapter = adapter
        self._make = make
        self._known: dict[tuple[str, str], CheckResult] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="sk-trial-"))
        self._stub: StubServer | None = None
        self._count = 0

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
            self._known[key] = self._run(check_id, case_name)
        return self._known[key]

    def alone(self, check_id: str, case_name: str) -> CheckResult:
        """Run one case whatever its prerequisites say."""
        requirement, check = self.catalogue[check_id], self.suite.checks[check_id]
        case = next(case for case in check.cases if case.name == case_name)
        return self._unasked(requirement, case) or self._attempt(requirement, check, case)

    def _unasked(self, requirement: Requirement, case: Case) -> CheckResult | None:
        if not requirement.capability or requirement.capability in self.adapter.capabilities:
            return None
        reason = f"the adapter does not declare {requirement.capability!r}"
        return _result(requirement, case, _Ending(Outcome.NOT_APPLICABLE, reason))

    def close(self) -> None:
        """Stop the stub and remove every folder."""
        if self._stub is not None:
            self._stub.__exit__(None, None, None)
            self._stub = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, check_id: str, case_name: str) -> CheckResult:
        requirement = self.catalogue[check_id]
        check = self.suite.checks[check_id]
        case = next(case for case in check.cases if case.name == case_name)
        unasked = self._unasked(requirement, case)
        if unasked is not None:
            return unasked
        for needed in requirement.after:
            for other in self.suite.checks[needed].cases:
                before = self.run(needed, other.name)
                if before.outcome not in _GOOD:
                    reason = f"prerequisite {before.name} {before.outcome.value.replace('_', ' ')}"
                    return _result(requirement, case, _Ending(Outcome.NOT_RUN, reason))
        return self._attempt(requirement, check, case)

    def _attempt(self, requirement: Requirement, check: Check, case: Case) -> CheckResult:
        stub = self._listening()
        stub.forget()
        self._count += 1
        folder = self._folder / str(self._count)
        trial = self._make(self.adapter, stub, folder)
        started = time.perf_counter()
        try:
            ending = _ending(requirement, check, case, trial)
        finally:
            trial.close()
        spent_ms = (time.perf_counter() - started) * 1000
        _remove(folder)
        return _result(requirement, case, ending, trial=trial, spent_ms=spent_ms)

    def _listening(self) -> StubServer:
        if self._stub is None:
            # Its server would print a line for each request.
            logging.getLogger("werkzeug").setLevel(logging.ERROR)
            self._stub = StubServer().__enter__()
        return self._stub


def _ending(requirement: Requirement, check: Check, case: Case, trial: Trial) -> _Ending:
    try:
        check.run(trial, case)
        trial.settle()
    except CheckFailed as failed:
        outcome = Outcome.FAILED if requirement.decides else Outcome.WARNING
        return _Ending(outcome, str(failed), failed.finding)
    except NotApplicable as excuse:
        return _Ending(Outcome.NOT_APPLICABLE, str(excuse))
    except ControlFailed as control:
        return _Ending(Outcome.NOT_RUN, control.reason)
    except (AdapterError, OSError) as wrong:
        return _Ending(Outcome.ERROR, f"the command could not be run: {wrong}")
    return _Ending(Outcome.PASSED)


def _result(
    requirement: Requirement,
    case: Case,
    ending: _Ending,
    *,
    trial: Trial | None = None,
    spent_ms: float = 0.0,
) -> CheckResult:
    exchanges = tuple(trial.exchanges) if trial else ()
    posts = [one for one in exchanges if one.request.method != RUN]
    return CheckResult(
        check_id=requirement.id,
        case=case.name,
        level=requirement.level,
        outcome=ending.outcome,
        profile=requirement.profile,
        reason=ending.reason,
        finding=ending.finding,
        exchanges=exchanges,
        ruled_out=requirement.after if ending.finding else (),
        duration_ms=round(spent_ms, 2),
        requests=len(posts),
        events_sent=sum(one.request.event_count or 0 for one in posts),
    )


def _remove(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
