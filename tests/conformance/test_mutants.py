"""The suite itself is tested: every fault is found, by the check that is named for it."""

from __future__ import annotations

import pytest

from spec_kitty_sync.conformance.catalogue import load_catalogue
from spec_kitty_sync.conformance.mutants import (
    checks_of,
    healthy_results,
    load_mutants,
    meet,
    unproven_checks,
)
from spec_kitty_sync.conformance.outcome import Outcome
from spec_kitty_sync.conformance.score import Mutant
from spec_kitty_sync.conformance.suite import receiver_suite

MUTANTS = load_mutants()
SEEN = [one for one in MUTANTS if not one.excuse]


def _in_turn() -> list[object]:
    """Return every mutant: each fourth is met in `make test`, all in `make proof`."""
    return [
        pytest.param(one, id=one.name, marks=[pytest.mark.proof] if number % 4 else [])
        for number, one in enumerate(SEEN)
    ]


@pytest.mark.parametrize("mutant", _in_turn())
def test_mutant_is_killed_by_its_named_checks(mutant: Mutant) -> None:
    """Each named check finds its fault; another check finding it is not enough."""
    meeting = meet(mutant, mutant.killers)
    assert set(meeting.killed_by) >= set(mutant.killers)


def test_every_check_has_a_mutant() -> None:
    """A check that no broken receiver has ever failed is not in the catalogue."""
    proven = {check_id for one in MUTANTS for check_id in one.killers}
    rows = {row.id for row in load_catalogue().requirements}
    assert rows - proven == set(unproven_checks())


def test_every_requirement_has_a_check_and_every_check_a_requirement() -> None:
    """Catalogue and suite name the same ids, and prerequisites are among them."""
    rows = load_catalogue().requirements
    ids = [row.id for row in rows]
    assert sorted(ids) == sorted(receiver_suite().checks)
    assert len(set(ids)) == len(ids)
    assert {needed for row in rows for needed in row.after} <= set(ids)


def test_healthy_receiver_is_held_against_nothing() -> None:
    """The same harness, without a fault, finds nothing: a kill is the fault's doing."""
    results = healthy_results(checks_of(load_catalogue(), "soak"))
    bad = {Outcome.FAILED, Outcome.WARNING, Outcome.ERROR, Outcome.NOT_RUN}
    assert [f"{one.name}: {one.reason}" for one in results if one.outcome in bad] == []


@pytest.mark.proof
@pytest.mark.parametrize("mutant", SEEN, ids=lambda one: one.name)
def test_mutant_is_found_by_the_whole_suite(mutant: Mutant) -> None:
    """Every check of every profile meets every mutant, and one at least objects."""
    every = checks_of(load_catalogue(), "hardened")
    assert meet(mutant, tuple(dict.fromkeys((*every, *mutant.killers)))).killed_by
