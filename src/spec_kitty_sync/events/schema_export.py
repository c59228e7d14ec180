"""Writes the contract as JSON Schema 2020-12, from the registry and its models (CONTRACT 1-5).

Pure: `export_schemas` returns documents by file name; the command line writes them. No `format`
is relied on and no look-around used, so that validators of any language reach our verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from spec_kitty_sync import _json
from spec_kitty_sync.events.envelope import Envelope
from spec_kitty_sync.events.lanes import FieldLane
from spec_kitty_sync.events.registry import CORE, EventType, Registry, Shape
from spec_kitty_sync.events.wire_schemas import WIRE_DOCUMENTS

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE_ID = "https://schemas.spec-kitty.invalid/1.0/"
"""Stable identifiers; `.invalid` says that nothing is fetched from there."""

_KNOWN_VERSION = r"^[13]\.[0-9]+\.[0-9]+$"
_WIRE_REQUIRED = ("project_uuid",)


def export_schemas(registry: Registry) -> dict[str, Schema]:
    """Return every schema document by its file name below `schemas/`."""
    documents: dict[str, Schema] = {
        "envelope.schema.json": _envelope(registry, None),
        "event.schema.json": _event(registry, None),
        "event-core.schema.json": _event(registry, frozenset({CORE})),
        "wire-event.schema.json": _wire_event(),
    }
    for event_type in registry:
        for shape in event_type.shapes:
            documents[payload_file(event_type, shape)] = _payload(event_type, shape)
    documents.update({name: dict(document) for name, document in WIRE_DOCUMENTS.items()})
    return {name: _headed(name, document) for name, document in sorted(documents.items())}


def render(document: Mapping[str, Any]) -> bytes:
    """Return *document* as it is committed: indented, key order kept, one newline at the end."""
    return _json.dumps_indented(document)


def payload_file(event_type: EventType, shape: Shape) -> str:
    """Return the file name of the schema of *shape*."""
    suffix = "" if len(event_type.shapes) == 1 else f".{shape.name}"
    return f"payloads/{event_type.name}{suffix}.schema.json"


def _headed(name: str, document: Schema) -> Schema:
    return {"$schema": DIALECT, "$id": BASE_ID + name, **document}


def _reference(name: str) -> Schema:
    return {"$ref": BASE_ID + name}


def _envelope(registry: Registry, packs: frozenset[str] | None) -> Schema:
    schema: Schema = _tidied(TypeAdapter(Envelope).json_schema())
    schema["title"] = "Envelope"
    schema["properties"]["aggregate_type"] = {"enum": sorted(registry.aggregates(packs))}
    schema["properties"]["schema_version"] = _one_line(
        {"type": "string", "pattern": _KNOWN_VERSION}
    )
    return schema


def _event(registry: Registry, packs: frozenset[str] | None) -> Schema:
    """Return the schema of an event: the envelope, and the payload that its type demands."""
    types = [each for each in registry if packs is None or each.pack in packs]
    named = {"enum": sorted(each.name for each in types)}
    properties: Schema = {"event_type": named}
    if packs is not None:
        properties["aggregate_type"] = {"enum": sorted(registry.aggregates(packs))}
    return {
        "title": "Event",
        "description": "An event of any dialect; " + _packs_in_words(packs),
        "allOf": [_reference("envelope.schema.json"), *_payload_rules(types, packs)],
        "properties": properties,
        "required": ["event_type"],
    }


def _packs_in_words(packs: frozenset[str] | None) -> str:
    if packs is None:
        return "types of all packs."
    return f"types of the {' and '.join(sorted(packs))} pack only."


def _payload_rules(types: list[EventType], packs: frozenset[str] | None) -> Iterator[Schema]:
    for event_type in types:
        shapes = [s for s in event_type.shapes if packs is None or s.pack in packs]
        is_this = {"properties": {"event_type": {"const": event_type.name}}}
        payload = _choice(event_type, shapes, seven_lanes=packs is not None)
        yield {"if": is_this, "then": {"properties": {"payload": payload}}}


def _choice(event_type: EventType, shapes: list[Shape], *, seven_lanes: bool) -> Schema:
    """Return the schema that sends a payload to the first shape that takes it."""
    shape, *rest = shapes
    this = _reference(payload_file(event_type, shape))
    if seven_lanes and _has_lanes(shape):
        this = {"allOf": [this, _without_field_lanes()]}
    if not rest or not shape.any_of:
        return this
    otherwise = _choice(event_type, rest, seven_lanes=seven_lanes)
    return {"if": _takes(shape), "then": this, "else": otherwise}


def _has_lanes(shape: Shape) -> bool:
    return shape.model is not None and "to_lane" in shape.model.model_fields


def _without_field_lanes() -> Schema:
    no_field_lane = {"not": {"enum": [str(lane) for lane in FieldLane]}}
    return {"properties": {"from_lane": no_field_lane, "to_lane": no_field_lane}}


def _takes(shape: Shape) -> Schema:
    rule: Schema = {"anyOf": [_states(key) for key in sorted(shape.any_of)]}
    if shape.none_of:
        rule["not"] = {"anyOf": [_states(key) for key in sorted(shape.none_of)]}
    return rule


def _states(key: str) -> Schema:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


def _payload(event_type: EventType, shape: Shape) -> Schema:
    if shape.model is None:
        # Its own `$id` gives way to ours, by which events refer to it.
        return {k: v for k, v in (shape.schema or {}).items() if k not in ("$id", "$schema")}
    schema: Schema = _tidied(shape.model.model_json_schema())
    schema["title"] = (
        f"{event_type.name}, {shape.name}" if shape.name != event_type.name else (event_type.name)
    )
    return schema


def _wire_event() -> Schema:
    """Return the schema of an event that may be sent: identity stated, version known."""
    return {
        "title": "Event on the wire",
        "description": "What must be stated before an event leaves the machine.",
        "allOf": [_reference("event.schema.json")],
        "properties": {name: {"not": {"type": "null"}} for name in _WIRE_REQUIRED},
        "required": list(_WIRE_REQUIRED),
    }


def _tidied(node: Any) -> Any:
    """Return *node* without generated titles, texts with a pattern held to one line."""
    if isinstance(node, list):
        return [_tidied(each) for each in node]
    if not isinstance(node, dict):
        return node
    tidy = {
        key: {name: _tidied(each) for name, each in value.items()}
        if key in ("properties", "$defs")
        else _tidied(value)
        for key, value in node.items()
        if not _is_noise(key, value)
    }
    return _one_line(tidy) if "pattern" in tidy else tidy


def _is_noise(key: str, value: Any) -> bool:
    generated = key == "title" and isinstance(value, str)
    return generated or key == "additionalProperties" or (key == "default" and value is None)


def _one_line(schema: Schema) -> Schema:
    # In some languages `$` also matches before a last newline.
    return {**schema, "not": {"pattern": "\n"}}
