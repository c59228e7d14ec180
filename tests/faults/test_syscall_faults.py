"""The disk fails, is full, or the process dies, at the n-th call that would change the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fault_figures import Figures
from fault_process import run_faults
from fault_program import SCENARIOS

_ERRORS = ("EIO", "EIO-stays", "ENOSPC-stays")
_SOME = ("append-again", "emit-fresh", "drain-every-word", "migrate", "restore", "upgrade-from-3")
_SEED = 1


@pytest.fixture(scope="session")
def failing_disk(preloaded: Callable[[str], Path]) -> Mapping[str, str]:
    """The environment of a process whose disk can fail."""
    return {"LD_PRELOAD": str(preloaded("failing_disk.c"))}


def _went_well(found: dict[str, Any], kind: str, figure: Figures) -> None:
    fired = found["kills"] if kind == "die" else sum(found["answers"].values())
    assert fired == found["tried"] > 0, "a fault did not fire"
    killed = {"kills": fired} if kind == "die" else {"faults": fired}
    figure(f"disk-{kind}:{found['scenario']}", points=found["tried"], **killed, losses=0)


@pytest.mark.parametrize("kind", [*_ERRORS, "die"])
def test_operation_on_a_failing_disk_says_so_and_loses_nothing(
    kind: str, failing_disk: Mapping[str, str], figure: Figures
) -> None:
    """A disk that fails at some call gives an error with a way out; nothing is lost or half."""
    options = ("--kind", kind, "--points", "4", "--seed", str(_SEED))
    for found in run_faults(*_SOME, *options, environ=failing_disk):
        _went_well(found, kind, figure)


def test_restore_on_a_disk_that_fails_for_a_moment_takes_nothing_for_damage(
    failing_disk: Mapping[str, str], figure: Figures
) -> None:
    """A journal that cannot be opened right now is not set aside: what is newer stays."""
    (found,) = run_faults("restore", "--only", "EIO,1", environ=failing_disk)
    _went_well(found, "EIO", figure)


@pytest.mark.proof
@pytest.mark.parametrize("kind", _ERRORS)
def test_every_operation_on_a_failing_disk_says_so_and_loses_nothing(
    kind: str, failing_disk: Mapping[str, str], figure: Figures
) -> None:
    """Whatever the operation, a failing disk gives an error with a way out and takes nothing."""
    options = ("--kind", kind, "--points", "15", "--seed", str(_SEED))
    for found in run_faults(*SCENARIOS, *options, environ=failing_disk):
        _went_well(found, kind, figure)


@pytest.mark.proof
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_operation_killed_at_every_change_of_the_disk_keeps_promises(
    scenario: str, failing_disk: Mapping[str, str], figure: Figures
) -> None:
    """SIGKILL before every write, sync, creation, renaming and removal: nothing is lost."""
    for found in run_faults(scenario, "--kind", "die", environ=failing_disk):
        assert found["tried"] == found["points"]["die"]
        _went_well(found, "die", figure)


@pytest.mark.proof
def test_every_failing_call_of_appending_is_told_or_made_good(
    failing_disk: Mapping[str, str], figure: Figures
) -> None:
    """Each call of 24 appends fails once: where that is "uncertain", appending again helps."""
    (found,) = run_faults("append-again", "--kind", "EIO", environ=failing_disk)
    assert found["tried"] == found["points"]["EIO"] > 200
    assert found["answers"]["went on"] > 200
    _went_well(found, "EIO", figure)
