"""Many processes at once on one home, killed at random."""

from __future__ import annotations

import random

import pytest
from crowd import run
from crowd_work import ROLES
from oracle import journal_of, make_event

from spec_kitty_sync import api
from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.conformance.stub import StubServer
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.status import build_status
from spec_kitty_sync.sync.store import open_home

FEW = ["emit", "drain", "tidy", "correct"]
ALL = [role for role in ROLES if role != "append_and_rest"]


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
    crowd(tmp_path, figure, ALL, kills=700, rounds=35)


class _ChoosesWhenAsked(dict):
    """An environment whose first look-up of the server lets somebody else choose another one."""

    def __init__(self, choose):
        super().__init__()
        self._choose = choose

    def get(self, name, default=None):
        if name == "SPEC_KITTY_SAAS_URL" and self._choose is not None:
            choose, self._choose = self._choose, None
            choose()
        return super().get(name, default)


def test_server_chosen_while_a_drain_begins_counts_for_the_next(tmp_path):
    """What is recorded for a server is what this server was sent, whatever others choose."""
    home = Home(tmp_path / "sk")
    with StubServer() as before, StubServer() as after:
        usual = Settings(home, {}, tmp_path)
        api.choose_server(usual, before.url)
        event = make_event(1)
        with open_home(home) as store:
            journal_of(store, SystemClock()).append(event)
        switched = _ChoosesWhenAsked(lambda: api.choose_server(usual, after.url))
        drain_home(Settings(home, switched, tmp_path))
        assert (before.stored_ids, after.stored_ids) == ([event.event_id], [])
        assert build_status(usual).delivery_ledger.undelivered == 1
        drain_home(usual)
        assert after.stored_ids == [event.event_id]


@pytest.mark.proof
def test_fifty_appenders_beside_a_drain_lose_nothing(tmp_path, figure):
    """Fifty processes that append while one delivers: every event arrives, to the byte."""
    crowd(tmp_path, figure, ["append_and_rest"] * 50 + ["drain"], kills=0, rounds=50)
