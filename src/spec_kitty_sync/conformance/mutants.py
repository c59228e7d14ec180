"""The suite tested by receivers that are broken on purpose: which check catches which fault."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.builder import Namespace
from spec_kitty_sync.conformance.catalogue import Catalogue, load_catalogue
from spec_kitty_sync.conformance.client import Address
from spec_kitty_sync.conformance.extra_faults import EXTRA_FAULTS
from spec_kitty_sync.conformance.outcome import CheckResult
from spec_kitty_sync.conformance.preflight import preflight
from spec_kitty_sync.conformance.probe import Surroundings
from spec_kitty_sync.conformance.reference import TEAM, TOKENS, reference_receiver
from spec_kitty_sync.conformance.runner import Runner
from spec_kitty_sync.conformance.score import Meeting, Mutant, Score
from spec_kitty_sync.conformance.suite import receiver_suite
from spec_kitty_sync.receiver.faults import FAULTS as RECEIVER_FAULTS

FAULTS = {**RECEIVER_FAULTS, **EXTRA_FAULTS}


def load_mutants() -> tuple[Mutant, ...]:
    """Return every fault with its named killers.

    Raises:
        KeyError: the file names a fault that the receiver does not have, or the other way round.
    """
    path = shared_path("conformance", "receiver", "mutants.toml")
    told = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    unknown = set(told) ^ set(FAULTS)
    if unknown:
        raise KeyError(f"faults and {path.name} disagree about {', '.join(sorted(unknown))}")
    return tuple(
        Mutant(
            name,
            fault.description,
            tuple(told[name]["killers"]),
            excuse=told[name].get("excuse", ""),
            receiver=told[name].get("receiver", {}),
        )
        for name, fault in FAULTS.items()
    )


def unproven_checks() -> dict[str, str]:
    """Return the checks that no mutant shows, each with the reason."""
    path = shared_path("conformance", "receiver", "mutants.toml")
    return dict(tomllib.loads(path.read_text(encoding="utf-8"))["unproven"])


def meet(mutant: Mutant, check_ids: Sequence[str], *, deadline_s: float = 5.0) -> Meeting:
    """Run the checks *check_ids*, every case of them, against the reference with that fault."""
    with reference_receiver(alter=FAULTS[mutant.name].apply, **mutant.receiver) as url:
        runner = runner_for(url, seed=mutant.name, deadline_s=deadline_s)
        try:
            return Meeting(mutant, tuple(_run(runner, check_ids)))
        finally:
            runner.close()


def healthy_results(check_ids: Sequence[str], **receiver: Any) -> tuple[CheckResult, ...]:
    """Return what the same checks say about the reference receiver without any fault."""
    with reference_receiver(**receiver) as url:
        runner = runner_for(url, seed="healthy", deadline_s=5.0)
        try:
            return tuple(_run(runner, check_ids))
        finally:
            runner.close()


def runner_for(url: str, *, seed: str, deadline_s: float) -> Runner:
    """Return a runner for the receiver at *url*, with the capabilities that it declares."""
    around = Surroundings(
        address=Address.parse(url),
        namespace=Namespace(seed, time.time_ns() // 1_000_000),
        token=TOKENS.own,
        deadline_s=deadline_s,
        spare_tokens=TOKENS.spare,
    )
    found = preflight(around)
    declared = set(found.capabilities)
    is_open = "anonymous" in declared
    around = replace(
        around,
        token=None if is_open else around.token,
        capabilities=frozenset(declared | {"anonymous" if is_open else "auth"}),
        limits=dict(found.limits),
        team=TEAM if "team-scope" in declared else None,
        spare_tokens=TOKENS.spare if "team-scope" in declared else {"expired": TOKENS.expired},
    )
    return Runner(receiver_suite(), load_catalogue(), around)


def checks_of(catalogue: Catalogue, profile: str = "hardened") -> tuple[str, ...]:
    """Return the ids of *profile* in the order of the catalogue."""
    return tuple(row.id for row in catalogue.selected(profile))


def run_all(
    mutants: Iterable[Mutant],
    chosen: Callable[[Mutant], Sequence[str]],
    *,
    tell: Callable[[Meeting], None] = lambda meeting: None,
) -> Score:
    """Let each mutant meet the checks that *chosen* names for it."""
    meetings = []
    for mutant in mutants:
        meeting = meet(mutant, chosen(mutant))
        tell(meeting)
        meetings.append(meeting)
    return Score(tuple(meetings))


def _run(runner: Runner, check_ids: Sequence[str]) -> Iterable[CheckResult]:
    for check_id in check_ids:
        for case in runner.suite.checks[check_id].cases:
            yield runner.run(check_id, case.name)
