"""The suites for command-line tools find the tools that are broken on purpose."""

from __future__ import annotations

import pytest

from spec_kitty_sync.conformance.outcome import Outcome
from spec_kitty_sync.conformance.score import Mutant
from spec_kitty_sync.conformance.trial_mutants import load_bench

BENCHES = {kind: load_bench(kind) for kind in ("producer", "migration")}
MUTANTS = [(kind, one) for kind, bench in BENCHES.items() for one in bench.mutants]
# A few of each family in every run; the others when the suite itself is proved.
QUICK = frozenset(
    {
        "any-200-delivers",
        "by-position",
        "deletes-delivered",
        "missing-is-success",
        "new-id-per-send",
        "no-last-slash",
        "sends-tier-zero",
        "unknown-is-success",
        "compares-bytes",
        "last-wins",
        "opens-the-source",
        "cleans-up-conflicts",
    }
)


def _named(chosen: bool) -> pytest.MarkDecorator:
    """Parametrize by the mutants that every run meets, or by the others."""
    found = [(kind, one) for kind, one in MUTANTS if (one.name in QUICK) is chosen]
    ids = [f"{kind}-{one.name}" for kind, one in found]
    return pytest.mark.parametrize(("kind", "mutant"), found, ids=ids)


def _check(kind: str, mutant: Mutant) -> None:
    meeting = BENCHES[kind].meet(mutant, mutant.killers)
    assert set(meeting.killed_by) >= set(mutant.killers)


@_named(chosen=True)
def test_broken_tool_is_found(kind: str, mutant: Mutant) -> None:
    """Each named check finds its fault in a small tool."""
    _check(kind, mutant)


@pytest.mark.proof
@_named(chosen=False)
def test_broken_tool_is_found_by_its_named_checks(kind: str, mutant: Mutant) -> None:
    """Each named check finds its fault in a small tool."""
    _check(kind, mutant)


@pytest.mark.parametrize("kind", sorted(BENCHES))
def test_every_check_has_a_broken_tool_or_a_reason(kind: str) -> None:
    """What no broken tool shows is listed with its reason."""
    bench = BENCHES[kind]
    proven = {check_id for one in bench.mutants for check_id in one.killers}
    assert set(bench.every_check()) - proven == set(bench.unproven)
    assert not proven & set(bench.unproven)


@pytest.mark.proof
@pytest.mark.parametrize("kind", sorted(BENCHES))
def test_healthy_small_tool_is_held_against_nothing(kind: str) -> None:
    """Without a fault the same tool passes: a kill is the fault's doing."""
    gated = {"SKP-EVT-12", "SKP-DUR-06", "SKP-TIE-02"}
    bench = BENCHES[kind]
    results = bench.healthy([one for one in bench.every_check() if one not in gated])
    bad = {Outcome.FAILED, Outcome.WARNING, Outcome.ERROR, Outcome.NOT_RUN}
    assert [f"{one.name}: {one.reason}" for one in results if one.outcome in bad] == []
