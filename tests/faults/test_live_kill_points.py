"""Live delivery, with the sender, the receiver or the connection ended anywhere.

After each fault the next `sync now` must leave every event at the reference receiver exactly once,
to the byte, and send nothing again that was recorded as delivered.
"""

from __future__ import annotations

from typing import Any

import pytest
from fault_figures import Figures
from fault_process import run_faults
from live_ground import LIVE

_SEED = 1
_FEW = 5
_LEAST = {"sql": 80, "wire": 12, "cut": 5, "receiver-sql": 30, "receiver-wire": 10}
"""No run has fewer points of each kind: else nobody looks any more."""


def _went_well(found: dict[str, Any], scenario: str, figure: Figures) -> None:
    for kind, least in _LEAST.items():
        assert found["points"][kind] >= least, kind
    # What the two do at the same time differs a little: a run may end before its point.
    assert found["kills"] >= 0.8 * found["tried"] > 0
    figure(f"live:{scenario}", points=found["tried"], kills=found["kills"], losses=0)


def test_live_delivery_hurt_at_some_points_arrives_once(figure: Figures) -> None:
    """Killed on either side, or cut before the answer is heard: each event arrives once."""
    (found,) = run_faults("live-again", "--points", str(_FEW), "--seed", str(_SEED))
    assert found["tried"] == _FEW * len(_LEAST)
    _went_well(found, "live-again", figure)


@pytest.mark.proof
@pytest.mark.parametrize("scenario", LIVE)
def test_live_delivery_hurt_at_every_point_arrives_once(scenario: str, figure: Figures) -> None:
    """Sender or receiver killed at each statement and on both sides of each message, or the wire
    cut before an answer is heard, and once more in the run that goes on: each event arrives once,
    to the byte."""
    (found,) = run_faults(scenario, "--again", "1", "--seed", str(_SEED))
    assert found["tried"] == 2 * sum(found["points"].values())
    _went_well(found, scenario, figure)
