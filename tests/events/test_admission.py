"""What may be kept, and what may be sent (CONTRACT 6, two gates)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spec_kitty_sync.errors import AdmissionError
from spec_kitty_sync.events import Validator, admit, default_registry
from spec_kitty_sync.events.admission import HOLD_CODES, Admitted

EVENT: dict[str, Any] = {
    "event_id": "01JQ0000000000000000000001",
    "event_type": "WPAssigned",
    "aggregate_id": "WP01",
    "aggregate_type": "WorkPackage",
    "payload": {"wp_id": "WP01", "agent_id": "claude", "phase": "review"},
    "timestamp": "2026-03-01T09:30:00Z",
    "node_id": "a1b2c3d4e5f6",
    "lamport_clock": 7,
    "project_uuid": "7D9C1F6E-3B52-4C88-9F0A-2F1B6F6F0C11",
    "correlation_id": "01JQ00000000000000000000C1",
}


def admitted(**changes: Any) -> Admitted:
    """Admit the event with *changes*."""
    body = json.dumps(EVENT | changes).encode()
    return admit(body, registry=default_registry())


def test_admitted_states_what_the_journal_indexes() -> None:
    """An admitted event carries its columns and its very bytes."""
    body = json.dumps(EVENT, indent=2).encode()
    result = admit(body, registry=default_registry(), row_id=EVENT["event_id"])
    assert result.body == body
    assert result.hold is None
    assert (result.event_id, result.event_type) == (EVENT["event_id"], "WPAssigned")
    assert (result.tier, result.team, result.family) == (1, None, "team_bound")
    assert result.project_uuid == EVENT["project_uuid"].lower()
    assert (result.lamport_clock, result.occurred_at) == (7, "2026-03-01T09:30:00Z")


@pytest.mark.parametrize(
    ("changes", "hold"),
    [
        ({"event_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"}, "bad_event_id"),
        ({"event_id": "01JQ0000000000000000000001\n"}, "bad_event_id"),
        ({"project_uuid": None}, "no_identity"),
        ({"project_uuid": "00000000-0000-0000-0000-000000000000"}, "bad_project_uuid"),
        ({"project_uuid": 7}, "bad_project_uuid"),
        ({"schema_version": "2.0.0"}, "schema_version_unsupported"),
        ({"schema_version": "1.0.0\n"}, "schema_version_unsupported"),
        ({"schema_version": "01.0.0"}, "schema_version_unsupported"),
        ({"schema_version": "31.0.0"}, "schema_version_unsupported"),
        ({"schema_version": "3.9.1"}, None),
        ({"schema_version": None}, None),
        ({"data_tier": "0"}, "bad_audience"),
        ({"data_tier": True}, "bad_audience"),
        ({"data_tier": 5}, "bad_audience"),
        ({"team_slug": ["a"]}, "bad_audience"),
        ({"cargo": "x" * 262_144}, "too_large"),
        ({"payload": None, "timestamp": "yesterday", "event_type": "Unheard"}, None),
    ],
)
def test_wire_gate_holds_with_a_code_and_a_detail(
    changes: dict[str, Any], hold: str | None
) -> None:
    """Only the wire gate holds an event, under a listed code; payload validity never does."""
    result = admitted(**changes)
    assert result.hold == hold
    assert hold is None or (result.hold_detail and hold in HOLD_CODES)


@pytest.mark.parametrize(
    ("changes", "tier"),
    [({}, 1), ({"data_tier": 0}, 0), ({"data_tier": 4}, 4), ({"data_tier": None}, 1)],
)
def test_tier_is_the_stated_one_else_the_default(changes: dict[str, Any], tier: int) -> None:
    """An explicit tier counts, an absent one is the registry's."""
    assert admitted(**changes).tier == tier


@pytest.mark.parametrize(("more", "hold"), [(0, None), (1, "too_large")])
def test_limit_is_the_last_size_that_passes(more: int, hold: str | None) -> None:
    """An event of 262144 bytes may be sent, one byte more is held; diagnose says the same."""
    body = json.dumps(EVENT | {"cargo": ""}).encode()
    cargo = b"x" * (262_144 - len(body) + more)
    body = body[:-2] + cargo + body[-2:]
    assert admit(body, registry=default_registry()).hold == hold
    found = [each.code for each in Validator(default_registry()).validate(body).findings]
    assert found == ([hold] if hold else [])


def test_decision_inputs_never_leave_by_default() -> None:
    """Types that the registry keeps local are tier 0 and local-only."""
    result = admitted(event_type="DecisionInputRequested")
    assert (result.tier, result.family) == (0, "local_only")
    assert admitted(event_type="BuildHeartbeat").family == "discardable"
    assert admitted(event_type="Unheard").family == "team_bound"


@pytest.mark.parametrize(
    ("team", "expected"),
    [
        ("local", None),
        (None, None),
        ("", None),
        ("team-a", "team-a"),
        ("Local", "Local"),
        ("none", "none"),
    ],
)
def test_local_null_and_absent_mean_no_team(team: str | None, expected: str | None) -> None:
    """`local`, null and absent are one thing."""
    assert admitted(team_slug=team).team == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xfe{\x00", "not_utf8"),
        (b'{"event_id": "x"', "not_json"),
        (b"", "not_json"),
        (b"null", "not_object"),
        (b'[{"event_id": "x"}]', "not_object"),
        (b'{"event_type": "WPCreated"}', "no_event_id"),
        (b'{"event_id": ""}', "no_event_id"),
        (b'{"event_id": 7}', "no_event_id"),
        (b'{"event_id": "\\ud800"}', "no_event_id"),
        (b'{"event_id": "other"}', "id_mismatch"),
    ],
)
def test_admission_refuses_only_what_has_no_identity(body: bytes, reason: str) -> None:
    """A row is refused when it cannot be read, is no object, or its id is absent or another."""
    with pytest.raises(AdmissionError) as caught:
        admit(body, registry=default_registry(), row_id="mine")
    assert caught.value.facts["reason"] == reason


def test_byte_order_mark_is_cut_and_noted() -> None:
    """An event behind a byte order mark is kept without it, and the note says so."""
    body = json.dumps(EVENT).encode()
    result = admit(b"\xef\xbb\xbf" + body, registry=default_registry())
    assert (result.body, result.hold, result.notes) == (body, None, ("bom_removed",))


def test_half_surrogates_leave_texts_that_a_database_can_store() -> None:
    """A held event with half a surrogate pair still has indexable columns."""
    result = admitted(aggregate_id="\ud800")
    assert result.hold == "json_surrogate"
    assert (result.aggregate_id or "").encode() == b"\\ud800"


def test_depth_beyond_every_parser_is_held_not_lost() -> None:
    """An event nested ten thousand deep is kept under its id."""
    deep = json.dumps(EVENT)[:-1] + ', "more": ' + "[" * 10_000 + "]" * 10_000 + "}"
    result = admit(deep.encode(), registry=default_registry())
    assert (result.hold, result.event_id, result.lamport_clock) == (
        "json_depth",
        EVENT["event_id"],
        7,
    )


@pytest.mark.parametrize(
    "payload",
    [
        {"namespace": {"mission_slug": "m"}, "artifact_id": {"path": "spec.md"}},
        {"feature_slug": "m", "artifact_key": "spec.md"},
        {"mission_slug": "m", "artifact_key": "spec.md", "artifact_id": {}},
    ],
)
def test_coalesce_identity_is_one_for_both_generations(payload: dict[str, Any]) -> None:
    """The flat and the namespaced form of one artifact name the same thing."""
    made = admitted(event_type="MissionDossierArtifactIndexed", payload=payload)
    project = EVENT["project_uuid"]
    assert made.coalesce_identity == f"MissionDossierArtifactIndexed|{project}|m|spec.md"


def test_coalesce_identity_needs_every_part() -> None:
    """Dossier events name the thing they describe anew; without a project they replace nothing."""
    payload = {"namespace": {"mission_slug": "001"}, "artifact_id": {"path": "spec.md"}}
    changes = {"event_type": "MissionDossierArtifactIndexed", "payload": payload}
    named = admitted(**changes).coalesce_identity
    assert named == f"MissionDossierArtifactIndexed|{EVENT['project_uuid']}|001|spec.md"
    assert admitted(**changes, project_uuid=None).coalesce_identity is None
    assert admitted().coalesce_identity is None
