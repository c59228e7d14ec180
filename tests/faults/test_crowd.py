"""Many processes at once on one home, killed at random."""

from __future__ import annotations

import random

import pytest
from crowd import run
from crowd_work import ROLES

FEW = ["emit", "drain", "tidy", "correct"]
ALL = [*ROLES]


def crowd(tmp_path, figure, roles, **size):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    ended = run(tmp_path / "root", roles, seed=seed, **size)
    print(ended)
    figure("many processes", points=sum(ended.cycles.values()), kills=ended.kills, losses=0)
    assert ended.kills >= size["kills"]
    assert ended.acknowledged > 0
    assert ended.delivered >= ended.acknowledged


@pytest.mark.parametrize("roles", [FEW, ["append", "switch", "move", "look"]], ids=" ".join)
def test_four_killed_at_random_lose_nothing(tmp_path, figure, roles):
    """Whoever is killed in the midst of whatever: all is delivered, to the byte, everywhere."""
    crowd(tmp_path, figure, roles, kills=15, rounds=2)


@pytest.mark.proof
def test_a_crowd_killed_at_random_loses_nothing(tmp_path, figure):
    """Emitters, drains, imports, corrections, gc, reports and a service at once, for a minute."""
    crowd(tmp_path, figure, ALL, kills=400, rounds=20)
