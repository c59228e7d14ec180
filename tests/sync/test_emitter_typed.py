"""The typed methods: one for each type that we write, and the four-lane form."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

import pytest

from spec_kitty_sync.errors import InvalidEventError
from spec_kitty_sync.events.lanes import Lane, UnknownLaneError
from spec_kitty_sync.events.registry import CORE, default_registry
from spec_kitty_sync.events.validation import Validator
from spec_kitty_sync.sync import event_fields
from spec_kitty_sync.sync.config import write_settings
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.typed_events import TypedEvents, emit_typed

EVIDENCE = {
    "repos": [{"repo": "acme/app", "branch": "main", "commit": "abc"}],
    "verification": [],
    "review": {"reviewer": "bob", "verdict": "approved"},
}
MOVE: dict[str, Any] = {
    "feature_slug": "001-x",
    "actor": "ada",
    "execution_mode": "worktree",
}
RUN = {"check_run_id": 7, "check_run_url": "https://ci", "delivery_id": "d"}
SAMPLES: dict[str, dict[str, Any]] = {
    "WPStatusChanged": {"wp_id": "WP01", "from_lane": "planned", "to_lane": "claimed", **MOVE},
    "WPCreated": {"wp_id": "WP01", "title": "T", "feature_slug": "001-x"},
    "WPAssigned": {"wp_id": "WP01", "agent_id": "claude", "phase": "review"},
    "FeatureCreated": {
        "feature_slug": "001-x", "feature_number": "001", "target_branch": "main", "wp_count": 3,
    },
    "FeatureCompleted": {"feature_slug": "001-x", "total_wps": 3},
    "HistoryAdded": {"wp_id": "WP01", "entry_type": "note", "entry_content": "x"},
    "ErrorLogged": {"error_message": "x", "error_type": "runtime"},
    "DependencyResolved": {
        "wp_id": "WP01", "dependency_wp_id": "WP02", "resolution_type": "merged",
    },
    "MissionStarted": {
        "mission_id": "m", "mission_type": "t", "initial_phase": "p", "actor": "ada",
    },
    "MissionCompleted": {
        "mission_id": "m", "mission_type": "t", "final_phase": "p", "actor": "ada",
    },
    "MissionCancelled": {"mission_id": "m", "reason": "r", "actor": "ada"},
    "PhaseEntered": {"mission_id": "m", "phase_name": "p", "actor": "ada"},
    "ReviewRollback": {"mission_id": "m", "review_ref": "r", "target_phase": "p", "actor": "ada"},
    "GatePassed": {"gate_name": "ci", **RUN},
    "GateFailed": {"gate_name": "ci", "conclusion": "timed_out", **RUN},
}  # fmt: skip
WRITTEN = sorted(each.name for each in default_registry() if each.pack == CORE)


@pytest.fixture
def emitter(desk):
    """An emitter of a project, without a target."""
    with open_emitter(desk.settings) as opened:
        yield opened


@pytest.mark.parametrize("event_type", WRITTEN)
def test_every_type_we_write_has_a_method(emitter, event_type):
    """Each method writes a valid canonical event with its defaults spelled out."""
    event = emit_typed(emitter, event_type, SAMPLES[event_type])
    assert event.event_type == event_type
    assert Validator(default_registry(), strict=True).validate(event.to_wire()).findings == ()
    for name, value in SAMPLES[event_type].items():
        assert event.payload[name] == value
    model = default_registry().get(event_type).shapes[-1].model
    assert model is not None
    if event_type != "WPStatusChanged":
        for name, field in model.model_fields.items():
            if field.default not in (None, ...) and not field.is_required():
                assert name in event.payload


@pytest.mark.parametrize("event_type", WRITTEN)
def test_arguments_are_the_fields_of_the_payload(event_type):
    """The typed arguments and the payload models name the same fields."""
    class_name = {"WPStatusChanged": "StatusTransition"}.get(event_type, event_type) + "Fields"
    arguments = set(get_type_hints(getattr(event_fields, class_name)))
    common = set(get_type_hints(event_fields.Common))
    shapes = default_registry().get(event_type).shapes
    model = next((s.model for s in shapes if s.name == "status_transition"), shapes[-1].model)
    assert model is not None
    first = {"wp_id", "feature_slug", "mission_id", "gate_name", "error_message"}
    assert arguments - common <= set(model.model_fields)
    assert set(model.model_fields) - arguments <= first


def test_registry_and_methods_name_the_same_types():
    """There is a method for each type of the core pack and for nothing else."""
    methods = {name for name in dir(TypedEvents) if name.startswith("emit_")}
    extra = {"emit_with", "emit_status_transition"}
    assert len(methods - extra) == len(WRITTEN)


def test_alias_is_resolved_before_the_event(emitter):
    """`doing` is understood, and the event says `in_progress`."""
    event = emitter.emit_status_transition("WP01", from_lane="claimed", to_lane="doing", **MOVE)
    assert event.payload["to_lane"] == "in_progress"
    event = emitter.emit_status_transition("WP01", from_lane=Lane.PLANNED, to_lane="doing", **MOVE)
    assert event.payload["from_lane"] == "planned"


@pytest.mark.parametrize("lane", ["approved", "in_review", "genesis", "somewhere"])
def test_lanes_of_older_clis_are_not_written(emitter, lane):
    """Field lanes are read and delivered, never emitted, by whatever method."""
    with pytest.raises(UnknownLaneError):
        emitter.emit_status_transition("WP01", to_lane=lane, **MOVE)
    with pytest.raises(InvalidEventError, match="/payload/to_lane"):
        emitter.emit("WPStatusChanged", "WP01", {"wp_id": "WP01", "to_lane": lane, **MOVE})


def test_done_needs_evidence(emitter):
    """A move to done without evidence is refused by name, with it it is stored."""
    with pytest.raises(InvalidEventError, match="evidence"):
        emitter.emit_status_transition("WP01", from_lane="for_review", to_lane="done", **MOVE)
    event = emitter.emit_status_transition(
        "WP01", from_lane="for_review", to_lane="done", evidence=EVIDENCE, **MOVE
    )
    assert event.payload["evidence"] == EVIDENCE


@pytest.mark.parametrize(
    ("start", "end", "four"),
    [
        (None, "claimed", ("planned", "doing")),
        ("planned", "in_progress", ("planned", "doing")),
        ("in_progress", "for_review", ("doing", "for_review")),
        ("for_review", "in_progress", ("for_review", "doing")),
        ("in_progress", "canceled", ("doing", "done")),
        ("claimed", "doing", None),
        ("in_progress", "blocked", None),
        ("done", "canceled", None),
    ],
)
def test_four_lane_target_gets_the_four_lane_form(desk, start, end, four):
    """A target with four lanes gets four-lane events; a move inside one of them stays here."""
    write_settings(desk.home.ensure(), {"lanes": "four"})
    extra = {"force": True, "reason": "r"} if start == "done" else {}
    with open_emitter(desk.settings) as emitter:
        event = emitter.emit_wp_status_changed(
            "WP01", from_lane=start, to_lane=end, **MOVE, **extra
        )
        record = emitter.queue.get(event.event_id)
    assert record is not None
    if four is None:
        assert record.hold == "no_four_lane_form"
        assert "previous_status" not in event.payload
    else:
        assert record.hold is None
        assert (event.payload["previous_status"], event.payload["new_status"]) == four
        assert event.payload["changed_by"] == "ada"


def test_seven_lane_target_gets_the_move_as_it_is(emitter):
    """Without that setting both methods write the same form."""
    event = emitter.emit_wp_status_changed("WP01", from_lane="planned", to_lane="claimed", **MOVE)
    assert event.payload["to_lane"] == "claimed"
    assert "new_status" not in event.payload


def test_options_stand_beside_the_fields(emitter):
    """Envelope options of a typed call go to the envelope, not into the payload."""
    cause = "0" * 26
    event = emitter.emit_wp_created(
        "WP01", title="T", feature_slug="x", causation_id=cause, data_tier=0, aggregate_id="other"
    )
    stored = json.loads(event.to_wire())
    assert (stored["causation_id"], stored["data_tier"], stored["aggregate_id"]) == (
        cause, 0, "other",
    )  # fmt: skip
    assert set(stored["payload"]) == {"wp_id", "title", "dependencies", "feature_slug"}
