"""The committed schemas are the contract, and any validator reaches our verdict with them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spec_kitty_sync import _json
from spec_kitty_sync.api.schemas import schema_files
from spec_kitty_sync.errors import JsonError
from spec_kitty_sync.events import Validator, default_registry
from spec_kitty_sync.events.schema_export import export_schemas

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
DOCUMENTS = export_schemas(default_registry())
REGISTRY: Any = referencing.Registry().with_resources(
    (document["$id"], referencing.Resource.from_contents(document))
    for document in DOCUMENTS.values()
)
VALID = [
    json.loads(path.read_bytes()) for path in sorted((ROOT / "fixtures/events/valid").iterdir())
]


def schema_validator(name: str) -> Any:
    """Return an independent validator for one of our schemas."""
    return jsonschema.Draft202012Validator(DOCUMENTS[name], registry=REGISTRY)


EVENT = schema_validator("event.schema.json")
CORE = schema_validator("event-core.schema.json")
WIRE = schema_validator("wire-event.schema.json")


def allowed_difference(event: Any) -> bool:
    """Return True for what schemas/README.md lists: 1.0 as an integer, rules about bytes."""
    try:
        _json.loads_strict(_json.dumps(event))
    except JsonError:
        return True
    if isinstance(event, dict):
        return any(allowed_difference(each) for each in event.values())
    if isinstance(event, list):
        return any(allowed_difference(each) for each in event)
    return isinstance(event, float) and event.is_integer()


def test_committed_schemas_are_the_exported_ones() -> None:
    """Every committed schema is what the models say today, and none is left over."""
    committed = {
        path.relative_to(SCHEMAS).as_posix(): path.read_bytes() for path in SCHEMAS.rglob("*.json")
    }
    assert committed == schema_files()


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_schema_is_sound(name: str) -> None:
    """Each document is a correct 2020-12 schema under its own identifier."""
    jsonschema.Draft202012Validator.check_schema(DOCUMENTS[name])
    assert DOCUMENTS[name]["$id"].endswith("/" + name)


def test_schema_and_models_agree_on_the_corpus(validator: Validator) -> None:
    """On every event of the corpus that parses, schema and models reach the same verdict."""
    core = Validator(default_registry(), packs=frozenset({"core"}))
    wire = Validator(default_registry(), wire=True)
    lines = [
        line
        for path in sorted((ROOT / "fixtures/events").rglob("*.json*"))
        if path.parent.name != "raw"
        for line in path.read_bytes().splitlines()
    ]
    assert len(lines) > 1000
    for line in lines:
        event = json.loads(line)
        if allowed_difference(event):
            continue
        assert EVENT.is_valid(event) == validator.validate_parsed(event).valid, line
        if event.get("event_type") in ("WPStatusChanged", "WPCreated", "WPAssigned"):
            assert CORE.is_valid(event) == core.validate_parsed(event).valid, line
            assert WIRE.is_valid(event) == wire.validate_parsed(event).valid, line


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**63, -1, 10**6])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["", "x", "WP01", "WP1", "WP01\n", "planned", "doing", "approved", "done", "worktree", "٠"]
    )
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@st.composite
def mutated_events(draw: st.DrawFn) -> dict[str, Any]:
    """Return a valid event with up to three members removed, replaced or added anywhere."""
    event: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = event
        while True:
            inner = [v for v in (place.values() if isinstance(place, dict) else place) if v]
            nested = [v for v in inner if isinstance(v, dict | list)]
            if not nested or draw(st.booleans()):
                break
            place = draw(st.sampled_from(nested))
        if isinstance(place, list):
            place[0] = draw(json_values)
            continue
        known = st.sampled_from(
            [*place, "force", "reason", "evidence", "mission_slug", "feature_slug", "new_status"]
        )
        key = draw(known)
        if key in place and draw(st.booleans()):
            del place[key]
        else:
            place[key] = draw(json_values)
    return event


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event=mutated_events())
def test_schema_and_models_agree_on_mutations(event: dict[str, Any]) -> None:
    """On any mutation of a valid event, schema and models reach the same verdict."""
    if not allowed_difference(event):
        assert EVENT.is_valid(event) == Validator(default_registry()).validate_parsed(event).valid


MIXED = [
    (one, other)
    for one in VALID
    for other in VALID
    if one["event_type"] == other["event_type"]
    and len(default_registry().get(one["event_type"]).shapes) > 1
]


def test_schema_and_models_agree_on_mixed_shapes(validator: Validator) -> None:
    """A payload with the keys of two shapes is of the same shape for schema and models."""
    seen = set()
    for one, other in MIXED:
        for payload in (one["payload"] | other["payload"], other["payload"] | one["payload"]):
            for absent in (None, *payload):
                event = one | {"payload": payload | ({absent: None} if absent else {})}
                verdict = validator.validate_parsed(event).valid
                assert EVENT.is_valid(event) == verdict, event
                seen.add(verdict)
    assert seen == {True, False}


def test_batch_schemas_accept_what_the_contract_shows() -> None:
    """Requests, results, refusals and health answers of the contract satisfy their schemas."""
    request = schema_validator("batch-request.schema.json")
    event = next(each for each in VALID if each["event_type"] == "WPAssigned")
    assert request.is_valid({"events": [event]})
    assert not request.is_valid({"events": [{**event, "project_uuid": None}]})
    response = schema_validator("batch-response.schema.json")
    assert response.is_valid({"results": [{"event_id": "a", "status": "success"}]})
    assert not response.is_valid({"results": [{"event_id": "a", "status": "rejected"}]})
    refused = {"event_id": "a", "status": "rejected", "error": "wp_id: required, but absent"}
    assert response.is_valid({"results": [refused]})
    assert schema_validator("error-response.schema.json").is_valid({"error": "no", "details": "x"})
    assert schema_validator("health.schema.json").is_valid({"status": "ok", "git_sha": None})
