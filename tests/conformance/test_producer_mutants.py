"""The suites for command-line tools find the tools that are broken on purpose."""

from __future__ import annotations

import pytest

from spec_kitty_sync.conformance.mutants import Mutant
from spec_kitty_sync.conformance.outcome import Outcome
from spec_kitty_sync.conformance.trial_mutants import load_bench

PRODUCER = load_bench("producer")
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
    }
)


def _check(mutant: Mutant) -> None:
    meeting = PRODUCER.meet(mutant, mutant.killers)
    assert set(meeting.killed_by) >= set(mutant.killers)


@pytest.mark.parametrize(
    "mutant", [one for one in PRODUCER.mutants if one.name in QUICK], ids=lambda one: one.name
)
def test_producer_mutant_is_killed(mutant: Mutant) -> None:
    """Each named check finds its fault in a small producer."""
    _check(mutant)


@pytest.mark.proof
@pytest.mark.parametrize(
    "mutant", [one for one in PRODUCER.mutants if one.name not in QUICK], ids=lambda one: one.name
)
def test_producer_mutant_is_killed_by_its_named_checks(mutant: Mutant) -> None:
    """Each named check finds its fault in a small producer."""
    _check(mutant)


def test_every_producer_check_has_a_mutant_or_a_reason() -> None:
    """What no broken producer shows is listed with its reason."""
    proven = {check_id for one in PRODUCER.mutants for check_id in one.killers}
    assert set(PRODUCER.every_check()) - proven == set(PRODUCER.unproven)


@pytest.mark.proof
def test_healthy_small_producer_is_held_against_nothing() -> None:
    """Without a fault the same producer passes: a kill is the fault's doing."""
    gated = {"SKP-EVT-12", "SKP-DUR-06", "SKP-TIE-02"}
    results = PRODUCER.healthy([one for one in PRODUCER.every_check() if one not in gated])
    bad = {Outcome.FAILED, Outcome.WARNING, Outcome.ERROR, Outcome.NOT_RUN}
    assert [f"{one.name}: {one.reason}" for one in results if one.outcome in bad] == []
