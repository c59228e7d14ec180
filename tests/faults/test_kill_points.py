"""SIGKILL anywhere: at each SQL statement of each operation, and on both sides of each send."""

from __future__ import annotations

from itertools import chain

import pytest
from fault_figures import Figures
from fault_process import run_faults
from fault_program import SCENARIOS

_FAMILIES = {
    "append": ("append", "emit"),
    "deliver": ("drain", "redeliver"),
    "keep": ("gc", "archive", "correct", "backup", "restore"),
    "migrate": ("migrate", "cleanup", "decide"),
    "upgrade": ("upgrade",),
}
_SEED = 1
_FEW = 10
_STATEMENTS = 20
"""No scenario has fewer: else the trace callback has gone blind."""


def scenarios_of(family: str) -> list[str]:
    return [name for name in SCENARIOS if name.startswith(_FAMILIES[family])]


def test_every_scenario_belongs_to_a_family() -> None:
    """No operation is left out of the short run."""
    assert sorted(chain.from_iterable(map(scenarios_of, _FAMILIES))) == sorted(SCENARIOS)


@pytest.mark.parametrize("family", _FAMILIES)
def test_operation_killed_at_some_points_keeps_every_promise(family: str, figure: Figures) -> None:
    """SIGKILL at some statements and every send: nothing is lost, nothing confirmed is resent."""
    for found in run_faults(*scenarios_of(family), "--points", str(_FEW), "--seed", str(_SEED)):
        assert found["kills"] == found["tried"] >= _FEW
        assert found["points"]["sql"] >= _STATEMENTS
        assert found["points"].get("wire", 0) >= (6 if family == "deliver" else 0)
        figure(f"kill:{found['scenario']}", points=found["tried"], kills=found["kills"], losses=0)


@pytest.mark.proof
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_operation_killed_at_every_point_keeps_every_promise(
    scenario: str, figure: Figures
) -> None:
    """SIGKILL at every statement and every send, and in the run that goes on after it: nothing is
    lost, nothing confirmed is resent."""
    (found,) = run_faults(scenario, "--again", "1", "--seed", str(_SEED))
    assert found["kills"] >= found["tried"] >= 2 * sum(found["points"].values())
    figure(f"kill:{scenario}", points=found["tried"], kills=found["kills"], losses=0)
