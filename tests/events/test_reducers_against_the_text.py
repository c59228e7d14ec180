"""The reducers and a naive reading of the contract agree on thousands of random histories."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from corpus_replays import EVIDENCE, event, mission
from naive_reducers import MISSION, Mission, in_order, lanes_of

from spec_kitty_sync.events import Event, dedup_events, reduce_lifecycle_events
from spec_kitty_sync.events.ordering import sort_events

LANES = [
    "planned", "claimed", "in_progress", "for_review", "done", "blocked", "canceled",
    "approved", "in_review", "genesis", None, "doing",
]  # fmt: skip
LIKELY = [
    (None, "planned"), (None, "for_review"), (None, "for_review"), ("genesis", "planned"),
    ("planned", "claimed"), ("claimed", "in_progress"), ("in_progress", "for_review"),
    ("for_review", "in_progress"), ("for_review", "done"), ("for_review", "in_review"),
    ("in_review", "in_progress"), ("in_review", "approved"), ("approved", "done"),
    ("approved", "blocked"), ("blocked", "in_progress"), ("planned", "in_progress"),
    ("planned", "planned"), ("for_review", "for_review"),
]  # fmt: skip
TIMES = [
    "2026-03-01T09:00:00Z", "2026-03-01T10:30:00+02:00", "2026-03-01T08:59:59.5Z",
    "2026-03-01T04:29:59.75-04:30",
]  # fmt: skip
FOUR = ["planned", "doing", "for_review", "done"]


class Chance:
    """Makes histories that often go on where they were, with clocks and ids that collide."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lane: str | None = None
        self.pace = 1

    def often(self, share: float) -> bool:
        return self.random.random() < share

    def history(self) -> list[Event]:
        """Return up to twenty events."""
        self.lane, self.pace = None, self.random.choice([1, 2, 3])
        return [self._event(place) for place in range(self.random.randint(0, 20))]

    def _event(self, place: int) -> Event:
        pick = self.random.choice
        number = place if self.often(0.9) else self.random.randint(0, 20)
        clock = max(0, place - self.random.randint(0, 1)) // self.pace
        if self.often(0.75):
            made = event(number, clock, "WPStatusChanged", self._move())
        else:
            more = {
                "mission_type": "s", "initial_phase": pick("pq"), "final_phase": "z",
                "phase_name": pick("pqr"), "target_phase": pick("pq"), "review_ref": "PR",
                "reason": pick(["r", "r", ""]), "mission_id": pick(["M1"] * 8 + ["M2"]),
            }  # fmt: skip
            kind = "MissionStarted" if place < 4 and self.often(0.5) else pick(MISSION)
            made = mission(number, clock, kind, **more)
        made["timestamp"] = pick(TIMES)
        return Event.from_wire(made)

    def _move(self) -> dict[str, Any]:
        pick = self.random.choice
        ends = pick(LIKELY) if self.often(0.8) else (pick(LANES), pick(LANES))
        onward = [pair for pair in LIKELY if pair[0] == self.lane]
        if onward and self.often(0.7):
            ends = pick(onward)
        self.lane = ends[1] if self.often(0.7) else self.lane
        payload: dict[str, Any] = {"wp_id": pick(["WP01"] * 7 + ["WP02", "no"])}
        kind = self.random.random()
        if kind < 0.15:
            return payload | {"previous_status": pick(FOUR), "new_status": pick(FOUR)}
        payload |= {"from_lane": ends[0], "to_lane": ends[1]}
        if kind < 0.45:
            return payload if self.often(0.8) else payload | {"from_lane": None}
        payload |= {"feature_slug": "f", "actor": "a", "execution_mode": "worktree"}
        payload["force"] = self.often(0.3)
        for name, value in (("reason", "r"), ("review_ref", "x"), ("evidence", EVIDENCE)):
            if self.often(0.7):
                payload[name] = value
        return payload


def test_reducers_do_what_the_contract_says() -> None:
    """Lanes, phases, status and every anomaly are those of the text, read word for word."""
    chance, seen = Chance(4), Counter[str]()
    for _ in range(1500):
        events = chance.history()
        state = reduce_lifecycle_events(events)
        lanes, told = lanes_of(events)
        expected = Mission().reduce(events)
        assert {
            wp_id: (str(wp.current_lane), wp.last_event_id)
            for wp_id, wp in state.wp_states.items()
        } == lanes  # fmt: skip
        assert {a.event_id: a.reason for a in state.anomalies} == told | expected.told
        assert (state.mission_status, state.mission_id) == (expected.status, expected.mission_id)
        assert state.current_phase == expected.phase
        assert list(state.phases_entered) == expected.phases
        assert dedup_events(sort_events(events)) == in_order(events)
        seen.update(a.reason for a in state.anomalies)
    assert len(seen) == 10, "every reason there is"
