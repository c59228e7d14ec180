"""The machine's clock is set back, or forward, by a year."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_figures import Figures
from fault_scenarios import every_word, varied
from fault_stage import Stage
from oracle import drain, examine, journal_of

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.store import open_home

_YEAR_S = 365 * 86_400


@pytest.mark.parametrize("jump_s", [-_YEAR_S, _YEAR_S], ids=["back", "forward"])
def test_clock_jump_parks_nothing_and_repeats_nothing(
    jump_s: int, tmp_path: Path, figure: Figures
) -> None:
    """After a jump of a year one drain sends all that was put off and all that is new, and nothing
    that was delivered."""
    stage, clock = Stage(tmp_path), ManualClock()
    events = varied(32)
    with open_home(stage.home) as store:
        journal = journal_of(store, clock)
        journal.append_many(events[:24])
        drain(store, stage.home, stage.wire(every_word), clock=clock)
        clock.advance(jump_s)
        journal.append_many(events[24:])
        drain(store, stage.home, stage.wire(), clock=clock)
    left = examine(stage.home, {each.event_id: each.body for each in events}, stage.wire())
    assert left.sent_again == 0
    assert left.delivered > 12
    figure("clock", points=1, faults=1, losses=0)


def test_causal_order_outlives_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """Events emitted after the clock went back a year still come after those before."""
    stage = Stage(tmp_path)
    (stage.project / ".kittify").mkdir(parents=True)
    clocks = []
    for wall in (ManualClock(), ManualClock(ManualClock().wall_ms - _YEAR_S * 1000)):
        with open_emitter(stage.settings, clock=wall) as emitter:
            payload = {"wp_id": "WP01", "entry_type": "note", "entry_content": "x"}
            clocks.append(emitter.emit("HistoryAdded", "WP01", payload).lamport_clock)
    assert clocks[0] < clocks[1]
