"""The suites for command-line tools tested by tools that are broken on purpose."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.adapter import Adapter, find_adapter, load_adapter
from spec_kitty_sync.conformance.mutants import Meeting, Mutant, Score
from spec_kitty_sync.conformance.outcome import CheckResult
from spec_kitty_sync.conformance.trial_entry import trial_runner
from spec_kitty_sync.conformance.trial_runner import TrialRunner

_SWITCH: Final = "SMALL_FAULTS"
_PATIENTS: Final = {"producer": "small-producer", "migration": "small-migrator"}


@dataclass(frozen=True)
class Bench:
    """The faults of one small tool and what the file about them says."""

    kind: str
    mutants: tuple[Mutant, ...]
    unproven: Mapping[str, str]

    @property
    def patient(self) -> Adapter:
        """The healthy tool."""
        return load_adapter(find_adapter(_PATIENTS[self.kind], self.kind), self.kind)

    def meet(self, mutant: Mutant, check_ids: Sequence[str]) -> Meeting:
        """Run *check_ids* against the tool with that fault switched on."""
        return Meeting(mutant, self._results(check_ids, mutant.name))

    def healthy(self, check_ids: Sequence[str]) -> tuple[CheckResult, ...]:
        """Return what the same checks say about the tool without any fault."""
        return self._results(check_ids, "")

    def run_all(
        self,
        mutants: Iterable[Mutant],
        *,
        every: bool = False,
        tell: Callable[[Meeting], None] = lambda meeting: None,
    ) -> Score:
        """Let each mutant meet the checks that are named for it, or *every* check."""
        checks = self.every_check() if every else ()
        meetings = []
        for one in mutants:
            meetings.append(self.meet(one, checks or one.killers))
            tell(meetings[-1])
        return Score(tuple(meetings))

    def every_check(self) -> tuple[str, ...]:
        """Return the ids of the suite, in the order of the catalogue."""
        runner = trial_runner(self.patient, self.kind)
        runner.close()
        return tuple(row.id for row in runner.catalogue.requirements)

    def _results(self, check_ids: Sequence[str], fault: str) -> tuple[CheckResult, ...]:
        patient = self.patient
        broken = replace(patient, environment={**patient.environment, _SWITCH: fault})
        runner = trial_runner(broken, self.kind)
        try:
            return tuple(_run(runner, check_ids))
        finally:
            runner.close()


def load_bench(kind: str) -> Bench:
    """Return the faults of the small *kind* and the checks named for them."""
    path = shared_path("conformance", kind, "mutants.toml")
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    mutants = tuple(
        Mutant(
            name, entry["broken"], tuple(entry.get("killers", ())), excuse=entry.get("excuse", "")
        )
        for name, entry in told["mutant"].items()
    )
    return Bench(kind, mutants, dict(told.get("unproven", {})))


def _run(runner: TrialRunner, check_ids: Sequence[str]) -> Iterable[CheckResult]:
    # A prerequisite that the fault breaks too would keep the named check from running.
    for check_id in check_ids:
        for case in runner.suite.checks[check_id].cases:
            yield runner.alone(check_id, case.name)
