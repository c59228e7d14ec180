"""The suites for command-line tools tested by tools that are broken on purpose."""

from __future__ import annotations

import multiprocessing
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.adapter import Adapter, find_adapter, load_adapter
from spec_kitty_sync.conformance.catalogue import catalogue_path, load_catalogue
from spec_kitty_sync.conformance.child import WarmTool
from spec_kitty_sync.conformance.outcome import CheckResult
from spec_kitty_sync.conformance.score import Meeting, Mutant, Score
from spec_kitty_sync.conformance.trial_entry import trial_runner
from spec_kitty_sync.conformance.trial_runner import TrialRunner

_SWITCH: Final = "SMALL_FAULTS"
_PATIENTS: Final = {"producer": "small-producer", "migration": "small-migrator"}
_SCRIPTS: Final = {"producer": "small_producer.py", "migration": "small_migrator.py"}
# Homes that are thrown away need no disk; a kill leaves what is in memory as it is.
_MEMORY: Final = Path("/dev/shm")


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
        mutants: Sequence[Mutant],
        checks: Sequence[str] = (),
        *,
        jobs: int = 1,
        tell: Callable[[Meeting], None] = lambda meeting: None,
    ) -> Score:
        """Let each mutant meet the checks that are named for it, and *checks*.

        *jobs* mutants at a time, each in a process of its own: the checks wait more than they work.
        """
        if jobs == 1:
            found = {}
            for one in mutants:
                found[one.name] = self.meet(one, _chosen(one, checks))
                tell(found[one.name])
        else:
            found = self._met_at_once(mutants, checks, jobs, tell)
        return Score(tuple(found[one.name] for one in mutants))

    def _met_at_once(
        self,
        mutants: Sequence[Mutant],
        checks: Sequence[str],
        jobs: int,
        tell: Callable[[Meeting], None],
    ) -> dict[str, Meeting]:
        meet = partial(_meet, self.kind)
        found = {}
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            waiting = [pool.submit(meet, one, _chosen(one, checks)) for one in mutants]
            try:
                for future in as_completed(waiting):
                    meeting = future.result()
                    tell(meeting)
                    found[meeting.mutant.name] = meeting
            finally:  # of what is interrupted, nothing more begins
                pool.shutdown(cancel_futures=True)
        return found

    def every_check(self, profile: str = "hardened") -> tuple[str, ...]:
        """Return the ids of *profile*, in the order of the catalogue."""
        catalogue = load_catalogue(catalogue_path(kind=self.kind))
        return tuple(row.id for row in catalogue.selected(profile))

    def _results(self, check_ids: Sequence[str], fault: str) -> tuple[CheckResult, ...]:
        patient = self.patient
        broken = replace(patient, environment={**patient.environment, _SWITCH: fault})
        script = shared_path("conformance", self.kind, "scripts", _SCRIPTS[self.kind])
        below = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        with WarmTool(script) as tool:
            runner = trial_runner(broken, self.kind, below=below, spawn=tool.spawn)
            try:
                return tuple(_run(runner, check_ids))
            finally:
                runner.close()


def usual_jobs() -> int:
    """Return how many mutants to test at a time."""
    return 2 * (os.cpu_count() or 1)


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


def _chosen(mutant: Mutant, checks: Sequence[str]) -> tuple[str, ...]:
    """Return *checks* and those named for *mutant*, which may be too heavy for every one."""
    return tuple(dict.fromkeys((*checks, *mutant.killers)))


def _meet(kind: str, mutant: Mutant, check_ids: Sequence[str]) -> Meeting:
    """Return a meeting without what was sent: it travels between processes."""
    meeting = load_bench(kind).meet(mutant, check_ids)
    return replace(meeting, results=tuple(replace(one, exchanges=()) for one in meeting.results))


def _run(runner: TrialRunner, check_ids: Sequence[str]) -> Iterable[CheckResult]:
    # A prerequisite that the fault breaks too would keep the named check from running.
    for check_id in check_ids:
        for case in runner.suite.checks[check_id].cases:
            result = runner.alone(check_id, case.name)
            yield result
            if result.finding is not None:
                break  # the check has found it: its other cases can add nothing
