"""The checks that are plain data, for suites in other languages: requests and legal answers.

Ids are placeholders: `{{id:N}}` is a new ULID for each N of a case, `{{ulid:N}}` likewise but
no event's own id; `{{uuid:N}}` is a UUID v4, `{{now}}` the time of the run.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from spec_kitty_sync.conformance.builder import EXAMPLES, JsonObject, example
from spec_kitty_sync.conformance.edits import (
    Edit,
    conditional_rules,
    done_payload,
    empty_texts,
    kind_of,
    missing_fields,
    wrong_values,
)
from spec_kitty_sync.conformance.probe import REFUSED, TAKEN

FORMAT = "spec-kitty-receiver-corpus/1"
_ACCEPTED, _REJECTED = sorted(TAKEN), sorted(REFUSED)
_FAMILY = {"lane": "05", "wp": "06", "number3": "06", "enum": "07", "wps": "09"}


def corpus() -> dict[str, Any]:
    """Return every case as JSON values."""
    cases = [*_transport(), *_accepted(), *_rejected(), *_envelope(), *_bodies(), *_stories()]
    return {"format": FORMAT, "contract": "1.0", "cases": cases}


def event(number: int = 1, name: str = "HistoryAdded", *, maximal: bool = False) -> JsonObject:
    """Return a valid event whose ids are placeholders."""
    found = example(name)
    payload = {**found.required, **(found.optional if maximal else {})}
    return {
        "event_id": f"{{{{id:{number}}}}}",
        "event_type": found.event_type,
        "aggregate_id": found.aggregate_id,
        "aggregate_type": found.aggregate_type,
        "payload": json.loads(json.dumps(payload)),
        "timestamp": "{{now}}",
        "node_id": "5eed00c0ffee",
        "lamport_clock": number,
        "correlation_id": "{{ulid:1}}",
        "project_uuid": "{{uuid:1}}",
        "project_slug": "sk-corpus",
        "schema_version": "1.0.0",
        "data_tier": 1,
    }


def step(
    events: Iterable[Any], results: Iterable[Iterable[str] | str], **how: Any
) -> dict[str, Any]:
    """Return one request and, per event in order, the statuses that are legal for it."""
    listed = list(events)
    legal = [[one] if isinstance(one, str) else sorted(one) for one in results]
    return {
        "body": json.dumps({"events": listed}, ensure_ascii=False, separators=(",", ":")),
        "gzip": how.get("gzip", True),
        "token": how.get("token", "own"),
        "status": [200],
        "results": [
            {"event_id": one["event_id"], "status": status}
            for one, status in zip(listed, legal, strict=True)
        ],
    }


def case(requirement: str, name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    """Return a case of one requirement: its steps are sent in order, on new ids."""
    return {"id": f"{requirement}/{name}", "requirement": requirement, "steps": list(steps)}


def _transport() -> Iterator[dict[str, Any]]:
    yield case("SKR-TRN-01", "gzip", step([event()], [_ACCEPTED]))
    yield case("SKR-ENC-02", "identity", step([event()], [_ACCEPTED], gzip=False))
    for token in ("none", "wrong"):
        refused = {**step([event()], [[]], token=token), "status": [401], "results": []}
        again = step([event()], [_ACCEPTED])
        yield case("SKR-AUT-02" if token == "none" else "SKR-AUT-03", token, refused, again)


def _accepted() -> Iterator[dict[str, Any]]:
    for found in EXAMPLES:
        yield case("SKR-PAY-01", found.name, step([event(1, found.name)], [_ACCEPTED]))
        full = event(1, found.name, maximal=True)
        yield case("SKR-PAY-02", found.name, step([full], [_ACCEPTED]))
    older = event()
    for field in ("correlation_id", "schema_version", "data_tier"):
        del older[field]
    yield case("SKR-ENV-17", "identity", step([older], [_ACCEPTED]))
    yield case(
        "SKR-ENV-17", "schema-3", step([{**event(), "schema_version": "3.0.0"}], [_ACCEPTED])
    )
    yield case("SKR-ENV-13", "extra", step([{**event(), "build_id": "", "x": [1]}], [_ACCEPTED]))
    nulls = dict.fromkeys(("causation_id", "project_slug", "team_slug"))
    yield case("SKR-ENV-10", "null", step([{**event(), **nulls}], [_ACCEPTED]))


def _rejected() -> Iterator[dict[str, Any]]:
    for found in EXAMPLES:
        families: dict[str, list[Edit]] = {"03": list(missing_fields(found))}
        families["08"] = list(empty_texts(found))
        for edit in wrong_values(found):
            families.setdefault(_FAMILY.get(kind_of(edit.names), "12"), []).append(edit)
        for number, edits in families.items():
            requirement = f"SKR-PAY-{number}"
            parent = event(1, found.name, maximal=number != "03")
            yield from _edited(requirement, f"{found.name}.", parent, edits)
    parent = {**event(1, "WPStatusChanged.status_transition"), "payload": done_payload()}
    yield from _edited("SKR-PAY-13", "", parent, [edit for _, edit in conditional_rules()])


def _edited(
    requirement: str, prefix: str, parent: JsonObject, edits: Iterable[Edit]
) -> Iterator[dict[str, Any]]:
    for edit in edits:
        good = {**parent, "event_id": "{{id:2}}"}
        both = step([edit.apply(parent), good], [_REJECTED, _ACCEPTED])
        yield case(requirement, f"{prefix}{edit.name}", both)


def _envelope() -> Iterator[dict[str, Any]]:
    required = ("event_type", "aggregate_id", "aggregate_type", "payload", "timestamp")
    for field in (*required, "node_id", "lamport_clock", "project_uuid"):
        edits = [Edit(f"{field}-missing", field), Edit(f"{field}-null", field, None)]
        yield from _edited("SKR-ENV-01", "", event(), edits)
    clocks = {"negative": -1, "fraction": 1.5, "text": "1", "true": True}
    times = {
        "no-zone": "2026-02-01T10:00:00",
        "word": "yesterday",
        "no-day": "2026-02-30T10:00:00Z",
    }
    projects = {
        "nil": "00000000-0000-0000-0000-000000000000",
        "version-1": "5b8a1f6e-3c1d-1f6a-9d2e-0a1b2c3d4e5f",
        "no-hyphens": "5b8a1f6e3c1d4f6a9d2e0a1b2c3d4e5f",
    }
    for number, field, values in (
        ("05", "lamport_clock", clocks),
        ("07", "timestamp", times),
        ("08", "project_uuid", projects),
        ("11", "aggregate_type", {"unknown": "Sprint"}),
        ("12", "event_type", {"unknown": "SkUnheardOf"}),
        ("15", "payload", {"null": None, "list": [], "text": "{}"}),
        ("18", "schema_version", {"major-9": "9.0.0"}),
    ):
        edits = [Edit(f"{field}-{name}", field, value) for name, value in dict(values).items()]
        yield from _edited(f"SKR-ENV-{number}", "", event(), edits)


def _bodies() -> Iterator[dict[str, Any]]:
    bodies = {
        "unclosed": "{",
        "array": "[]",
        "null": "null",
        "no-events": "{}",
        "events-object": '{"events":{}}',
        "two-values": '{"events":[]}{"events":[]}',
        "empty": "",
    }
    plain = {"gzip": False, "token": "own", "status": [400], "results": [], "has": ["error"]}
    for name, body in bodies.items():
        yield case("SKR-ROB-01", name, {**plain, "body": body})
    noise = base64.b64encode(b"this is no gzip").decode()
    broken = {**plain, "base64": noise, "encoding": "gzip", "status": [400, 415]}
    yield case("SKR-ENC-04", "noise", broken)


def _stories() -> Iterator[dict[str, Any]]:
    first, second, third = event(1), event(2), event(3)
    bad = Edit("missing", "payload.entry_content").apply(second)
    known = ["duplicate", "pending", "queued"]
    taken = step([first], [_ACCEPTED])
    yield case("SKR-IDM-01", "again", taken, step([first], [known]))
    new = step([second, first, third], [_ACCEPTED, known, _ACCEPTED])
    yield case("SKR-IDM-02", "among-new", taken, new)
    other = {**first, "payload": {**first["payload"], "entry_content": "Something else."}}
    conflict = step([other], [["duplicate", *_REJECTED]])
    yield case("SKR-IDM-03", "other-content", taken, conflict)
    yield case("SKR-IDM-06", "corrected", step([bad], [_REJECTED]), step([second], [_ACCEPTED]))
    mixed = step([first, bad, third], [_ACCEPTED, _REJECTED, _ACCEPTED])
    yield case("SKR-PAR-01", "good-bad-good", mixed)
    late = {**second, "lamport_clock": 0, "timestamp": "2001-01-01T00:00:00Z"}
    yield case("SKR-ORD-01", "backwards", taken, step([late], [_ACCEPTED]))
