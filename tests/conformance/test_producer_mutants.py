"""The suites for command-line tools find the tools that are broken on purpose."""

from __future__ import annotations

import pytest

from spec_kitty_sync.conformance.outcome import Outcome
from spec_kitty_sync.conformance.producer_trial import own_address
from spec_kitty_sync.conformance.score import Mutant
from spec_kitty_sync.conformance.trial_mutants import load_bench, usual_jobs

BENCHES = {kind: load_bench(kind) for kind in ("producer", "migration")}
# Whether plain http is refused elsewhere can be seen only where this machine has an address.
UNSEEN = frozenset() if own_address() else frozenset({"SKP-WIR-13"})
MUTANTS = [
    (kind, one)
    for kind, bench in BENCHES.items()
    for one in bench.mutants
    if UNSEEN.isdisjoint(one.killers)
]


def _some() -> list[object]:
    """Return every sixth mutant, for `make test`, and those that only long checks find.

    In `make proof` the whole matrices ask the same of all.
    """
    found = []
    for number, (kind, one) in enumerate(MUTANTS):
        long = not set(one.killers) <= set(BENCHES[kind].every_check())
        if long or number % 6 == 0:
            marks = [pytest.mark.proof] if long else []
            found.append(pytest.param(kind, one, id=f"{kind}-{one.name}", marks=marks))
    return found


@pytest.mark.parametrize(("kind", "mutant"), _some())
def test_broken_tool_is_found_by_its_named_checks(kind: str, mutant: Mutant) -> None:
    """Each named check finds its fault in a small tool; another check finding it is not enough."""
    meeting = BENCHES[kind].meet(mutant, mutant.killers)
    assert set(meeting.killed_by) >= set(mutant.killers)


@pytest.mark.proof
@pytest.mark.parametrize("kind", sorted(BENCHES))
def test_full_matrix_of_tools_scores_as_documented(kind: str) -> None:
    """Every broken tool meets every check; 95 % are found, and by the checks named for them."""
    bench = BENCHES[kind]
    mutants = [one for of, one in MUTANTS if of == kind]
    score = bench.run_all(mutants, bench.every_check(), jobs=usual_jobs())
    assert score.percent >= 95.0
    assert [one.name for one in score.survivors if not one.excuse] == []
    missed = [
        f"{one.mutant.name}: {check_id}"
        for one in score.meetings
        for check_id in one.mutant.killers
        if check_id not in one.killed_by
    ]
    assert missed == []


@pytest.mark.parametrize("kind", sorted(BENCHES))
def test_every_check_has_a_broken_tool_or_a_reason(kind: str) -> None:
    """What no broken tool shows is listed with its reason."""
    bench = BENCHES[kind]
    proven = {check_id for one in bench.mutants for check_id in one.killers}
    assert set(bench.every_check("soak")) - proven == set(bench.unproven)
    assert not proven & set(bench.unproven)


@pytest.mark.parametrize("kind", sorted(BENCHES))
def test_healthy_small_tool_is_held_against_nothing(kind: str) -> None:
    """Without a fault the same tool passes every check: a kill is the fault's doing."""
    bench = BENCHES[kind]
    results = bench.healthy([one for one in bench.every_check() if one not in UNSEEN])
    assert [
        f"{one.name}: {one.reason}" for one in results if one.outcome is not Outcome.PASSED
    ] == []
