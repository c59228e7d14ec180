"""Reducers give one answer for every order, repetition and split of the same events."""

from __future__ import annotations

import random
from typing import Any

import pytest
from corpus_replays import event, event_id, mission, move
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_kitty_sync._json import canonical_hash
from spec_kitty_sync.events import (
    Event,
    Lane,
    MissionStatus,
    dedup_events,
    partition_by_mission,
    reduce_lifecycle_events,
    reduce_status_events,
    status_event_sort_key,
)
from spec_kitty_sync.events.ordering import instant_ns, sort_events

LANES = [*(lane.value for lane in Lane), "approved", "in_review", "genesis", "doing", None, 7]
MISSION_TYPES = [
    "MissionStarted",
    "MissionCompleted",
    "MissionCancelled",
    "PhaseEntered",
    "ReviewRollback",
]
anything = st.sampled_from([None, "", "x", 1, True, [], {}, "planned", "WP01"])


@st.composite
def status_payloads(draw: st.DrawFn) -> dict[str, Any]:
    """Return a payload of WPStatusChanged of any shape, right or wrong."""
    source, target = draw(st.sampled_from(LANES)), draw(st.sampled_from(LANES))
    wp_id = draw(st.sampled_from(["WP01", "WP02", "nope"]))
    match draw(st.integers(0, 3)):
        case 0:
            return {"wp_id": wp_id, "from_lane": source, "to_lane": target}
        case 1:
            four = st.sampled_from(["planned", "doing", "for_review", "done", "x"])
            return {"wp_id": wp_id, "previous_status": draw(four), "new_status": draw(four)}
        case _:
            more = {"wp_id": wp_id, "force": draw(st.booleans())}
            if draw(st.booleans()):
                more |= {"reason": "because", "review_ref": "PR-7"}
            return dict(move(1, 1, source, target, **more)["payload"])


@st.composite
def soups(draw: st.DrawFn) -> list[Event]:
    """Return events with colliding clocks, ids and contents, many of them nonsense."""
    events = []
    for number in range(draw(st.integers(0, 12))):
        clock, identity = draw(st.integers(0, 4)), draw(st.integers(0, 15))
        if draw(st.booleans()):
            made = event(identity, clock, "WPStatusChanged", draw(status_payloads()))
        else:
            more = {"mission_type": "s", "initial_phase": "specify", "final_phase": "accept"}
            more |= {"phase_name": f"p{number}", "target_phase": "plan", "review_ref": "PR"}
            more |= {"reason": draw(st.sampled_from(["r", ""])), "extra": draw(anything)}
            more |= {"mission_id": draw(st.sampled_from(["M1", "M1", "M2"]))}
            made = mission(identity, clock, draw(st.sampled_from(MISSION_TYPES)), **more)
        events.append(Event.from_wire(made))
    return events


@settings(max_examples=100, deadline=None)
@given(events=soups(), seed=st.integers())
def test_any_permutation_and_repetition_reduces_to_the_same(events: list[Event], seed: int) -> None:
    """Arbitrary soup never raises, and neither order nor repetition changes its state."""
    shuffled = events + events[: len(events) // 2]
    random.Random(seed).shuffle(shuffled)
    assert reduce_lifecycle_events(shuffled) == reduce_lifecycle_events(events)
    assert reduce_status_events(shuffled) == reduce_status_events(events)


@settings(max_examples=100, deadline=None)
@given(events=soups(), cut=st.integers(0, 12))
def test_folding_more_events_equals_replay(events: list[Event], cut: int) -> None:
    """Folding events into a state, older ones too, equals replay from scratch."""
    for first, rest in ((events[:cut], events[cut:]), (events[cut:], events[:cut])):
        state = reduce_lifecycle_events(rest, onto=reduce_lifecycle_events(first))
        assert state == reduce_lifecycle_events(events)
        status = reduce_status_events(rest, onto=reduce_status_events(first))
        assert status == reduce_status_events(events)


@settings(max_examples=100, deadline=None)
@given(events=soups())
def test_every_event_is_applied_or_told(events: list[Event]) -> None:
    """An anomaly stands for an event that was reduced, in the reducers' order."""
    state = reduce_lifecycle_events(events)
    order = [each.event_id for each in dedup_events(sort_events(events))]
    places = [order.index(anomaly.event_id) for anomaly in state.anomalies]
    assert places == sorted(places)
    assert state.event_count == len(order)
    assert state.last_processed_event_id == (order[-1] if order else None)


@settings(max_examples=60, deadline=None)
@given(events=soups(), clock=st.integers(1, 4))
def test_cancellation_decides_its_clock(events: list[Event], clock: int) -> None:
    """A running mission is cancelled by a cancellation, whatever stands at the same clock."""
    before = mission(90, 0, "MissionStarted", mission_type="s", initial_phase="specify")
    peers = [each for each in events if each.lamport_clock == clock]
    cancel = mission(91, clock, "MissionCancelled", reason="no longer needed")
    state = reduce_lifecycle_events([Event.from_wire(before), *peers, Event.from_wire(cancel)])
    assert state.mission_status is MissionStatus.CANCELLED
    assert state.current_phase == "specify"


@settings(max_examples=60, deadline=None)
@given(others=st.lists(status_payloads(), max_size=5), place=st.integers(0, 5))
def test_rollback_outranks_its_clock(others: list[dict[str, Any]], place: int) -> None:
    """Of moves at one clock a legal reviewer rollback stands."""
    before = [
        move(1, 1, None, "planned"),
        move(2, 2, "planned", "claimed"),
        move(3, 3, "claimed", "in_progress"),
        move(4, 4, "in_progress", "for_review"),
    ]
    peers = [event(10 + n, 5, "WPStatusChanged", payload) for n, payload in enumerate(others)]
    rollback = move(30, 5, "for_review", "in_progress", review_ref="PR-7")
    peers.insert(min(place, len(peers)), rollback)
    state = reduce_status_events([Event.from_wire(each) for each in (*before, *peers)])
    assert state.wp_states["WP01"].current_lane is Lane.IN_PROGRESS


def test_same_id_with_other_content_counts_once_whatever_the_order() -> None:
    """Of two contents under one id the first in the reducers' order counts."""
    one = Event.from_wire(move(1, 1, None, "planned"))
    other = Event.from_wire(move(1, 1, None, "planned", wp_id="WP02"))
    assert reduce_status_events([one, other]) == reduce_status_events([other, one])
    assert reduce_status_events([one, other]).event_count == 1
    first, last = sorted([one, other], key=lambda each: canonical_hash(each.to_wire()))
    spaced = Event.from_wire(b" " + last.to_wire())
    assert sort_events([first, spaced])[0] == sort_events([spaced, first])[0] == first


def test_queued_move_from_genesis_is_applied_over_a_gap() -> None:
    """A stated `genesis` is a from_lane like any: over another lane it is a gap, and applied."""
    queued = {"wp_id": "WP01", "from_lane": "genesis", "to_lane": "planned"}
    events = [move(1, 1, None, "planned"), event(2, 2, "WPStatusChanged", queued)]
    state = reduce_status_events([Event.from_wire(each) for each in events])
    assert state.wp_states["WP01"].last_event_id == event_id(2)
    assert [(each.event_id, each.reason) for each in state.anomalies] == [(event_id(2), "gap")]
    restated = event(3, 3, "WPStatusChanged", {"wp_id": "WP01", "to_lane": "planned"})
    state = reduce_status_events([Event.from_wire(each) for each in (*events, restated)])
    assert state.wp_states["WP01"].last_event_id == event_id(2)
    assert len(state.anomalies) == 1


def test_done_keeps_its_evidence() -> None:
    """A work package that is done keeps the evidence and the event that made it so."""
    events = [
        move(1, 1, None, "planned"),
        move(2, 2, "planned", "done", force=True, reason="imported"),
    ]
    state = reduce_status_events([Event.from_wire(each) for each in events])
    package = state.wp_states["WP01"]
    assert package.evidence is not None
    assert package.evidence.review.reviewer == "codex"
    assert (package.last_event_id, package.last_transition_at) == (
        event_id(2),
        events[1]["timestamp"],
    )


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-03-01T10:00:00+02:00", "2026-03-01T09:00:00Z"),
        ("2026-03-01T09:00:00.000000001Z", "2026-03-01T09:00:00.000000002Z"),
        ("2026-03-01T09:00:00Z", "2026-03-01T09:00:00.1Z"),
        ("2026-02-28T23:30:00-01:00", "2026-03-01T00:30:00.5Z"),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"),
    ],
)
def test_timestamps_sort_as_instants(earlier: str, later: str) -> None:
    """Offsets and nine digits of fraction count; the ends of the calendar do not overflow."""
    assert instant_ns(earlier) < instant_ns(later)


def test_sort_key_is_clock_then_instant_then_id() -> None:
    """The clock comes first, then the instant, then the id."""
    key = status_event_sort_key(Event.from_wire(move(3, 2, None, "planned")))
    assert (key[0], key[2]) == (2, event_id(3))


def test_partition_keeps_missions_and_projects_apart() -> None:
    """Events go by project and mission; a mission id counts as the slug it is tied to."""
    billing = {"mission_slug": "001-billing", "mission_id": "M1"}
    tied = mission(1, 1, "MissionStarted", mission_type="s", initial_phase="p", **billing)
    by_id = mission(2, 2, "PhaseEntered", phase_name="plan")
    lonely = mission(3, 3, "PhaseEntered", phase_name="plan", mission_id="M9")
    feature = move(4, 4, None, "planned")
    dossier = event(5, 5, "MissionDossierSnapshotComputed", {"namespace": billing})
    none = event(6, 6, "WPAssigned", {"wp_id": "WP01"})
    foreign = move(7, 7, None, "planned") | {"project_uuid": None}
    made = [tied, by_id, lonely, feature, dossier, none, foreign]
    parts = partition_by_mission([Event.from_wire(each) for each in made])
    project = tied["project_uuid"]
    assert {key: [e.lamport_clock for e in part] for key, part in parts.items()} == {
        (project, "001-billing"): [1, 2, 5],
        (project, "M9"): [3],
        (project, "001-demo"): [4],
        (project, None): [6],
        (None, "001-demo"): [7],
    }
