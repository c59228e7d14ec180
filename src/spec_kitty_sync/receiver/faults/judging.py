"""Faults in what is taken: envelope, payload, types, order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from spec_kitty_sync.events.lanes import Lane
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.receiver.faults.seams import Apply, Fault, Fields, accepts, crashes, refuses
from spec_kitty_sync.receiver.split import Element

_CORE_FIELDS = frozenset(Event.model_fields)
_ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
_UUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u)")
_FOUR_BYTES = re.compile(rb"[\xf0-\xf4]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u")
_FOUR_LANES = {None, "planned", "in_progress", "for_review", "done"}

Repair = Callable[[Any], Any]


def _takes(field: str, repair: Repair) -> Apply:
    """Take an envelope *field* that is only valid after *repair*."""

    def change(fields: Fields) -> None:
        if field in fields:
            fields[field] = repair(fields[field])

    return accepts(change)


def _takes_payload(field: str, repair: Repair) -> Apply:
    """Take a payload *field* that is only valid after *repair*."""

    def change(fields: Fields) -> None:
        payload = fields.get("payload")
        if isinstance(payload, dict) and field in payload:
            payload[field] = repair(payload[field])

    return accepts(change)


def _default(field: str, value: Any) -> Apply:
    """Take an event without the envelope *field*."""

    def change(fields: Fields) -> None:
        fields.setdefault(field, value)

    return accepts(change)


def _same_length_text(value: Any) -> Any:
    return _ULID if isinstance(value, str) and len(value) == 26 else value


def _lane(value: Any) -> Any:
    return "in_progress" if isinstance(value, str) else value


def _any_lane(fields: Fields) -> None:
    payload = fields.get("payload")
    if isinstance(payload, dict):
        for name in ("from_lane", "to_lane"):
            if name in payload and payload[name] not in list(Lane):
                payload[name] = _lane(payload[name])


def _ascii_digits(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"WP\d{2,}", value):
        return "WP01"
    return value


def _known_type(fields: Fields) -> None:
    fields["event_type"] = "ErrorLogged"
    fields["payload"] = {"error_type": "unknown", "error_message": "x"}


def _some_agent(fields: Fields) -> None:
    _payload(fields).setdefault("agent_id", "x")


def _payload(fields: Fields) -> Fields:
    payload = fields.get("payload")
    return payload if isinstance(payload, dict) else {}


def _if(test: Callable[[Fields], object], error: str) -> Apply:
    return refuses(lambda fields: error if test(fields) else None)


def _lowers_clock() -> Apply:
    seen: dict[str, int] = {}

    def reason(fields: Fields) -> str | None:
        node, clock = fields["node_id"], fields["lamport_clock"]
        last, seen[node] = seen.get(node, -1), clock
        return "lamport_clock went back" if clock <= last else None

    return refuses(reason)


def _unknown_cause() -> Apply:
    seen: set[str] = set()

    def reason(fields: Fields) -> str | None:
        seen.add(fields["event_id"])
        cause = fields.get("causation_id")
        return "causation_id is not known" if cause and cause not in seen else None

    return refuses(reason)


def _has_object_as_text(element: Element) -> bool:
    fields = element.fields or {}
    return any(isinstance(fields.get(name), dict) for name in ("event_id", "event_type"))


JUDGING: Mapping[str, Fault] = MappingProxyType(
    {
        # takes too much: envelope
        "takes-any-26-characters-as-id": Fault(
            "only the length of event_id counts", _takes("event_id", _same_length_text)
        ),
        "takes-lowercase-id": Fault(
            "event_id in lower case is taken", _takes("event_id", lambda v: str(v).upper())
        ),
        "takes-id-with-newline": Fault(
            "a newline after event_id is taken", _takes("event_id", lambda v: str(v).rstrip("\n"))
        ),
        "takes-true-as-clock": Fault(
            "lamport_clock true is taken",
            _takes("lamport_clock", lambda v: int(v) if isinstance(v, bool) else v),
        ),
        "takes-text-as-clock": Fault(
            'lamport_clock "1" is taken',
            _takes("lamport_clock", lambda v: 1 if isinstance(v, str) else v),
        ),
        "takes-fraction-as-clock": Fault(
            "lamport_clock 1.5 is taken",
            _takes("lamport_clock", lambda v: 1 if isinstance(v, float) else v),
        ),
        "takes-negative-clock": Fault(
            "lamport_clock -1 is taken",
            _takes("lamport_clock", lambda v: abs(v) if type(v) is int else v),
        ),
        "takes-naive-timestamp": Fault(
            "a timestamp without zone is taken",
            _takes("timestamp", lambda v: f"{v}Z" if isinstance(v, str) else v),
        ),
        "takes-any-timestamp": Fault(
            "any text is a timestamp",
            _takes("timestamp", lambda v: "2026-01-01T00:00:00Z" if isinstance(v, str) else v),
        ),
        "takes-nil-project": Fault(
            "the nil UUID is a project",
            _takes("project_uuid", lambda v: _UUID if set(str(v)) <= {"0", "-"} else v),
        ),
        "takes-any-uuid-version": Fault(
            "project_uuid may be of any version",
            _takes("project_uuid", lambda v: _UUID if isinstance(v, str) and len(v) == 36 else v),
        ),
        "takes-uuid-without-hyphens": Fault(
            "project_uuid may lack its hyphens",
            _takes("project_uuid", lambda v: _UUID if len(str(v)) == 32 else v),
        ),
        "takes-missing-project": Fault(
            "project_uuid may be absent", _default("project_uuid", _UUID)
        ),
        "takes-missing-timestamp": Fault(
            "timestamp may be absent", _default("timestamp", "2026-01-01T00:00:00Z")
        ),
        "takes-missing-node": Fault("node_id may be absent", _default("node_id", "x")),
        "takes-missing-clock": Fault("lamport_clock may be absent", _default("lamport_clock", 0)),
        "takes-missing-payload": Fault("payload may be absent or null", accepts(_known_type)),
        "takes-any-aggregate": Fault(
            "any aggregate_type is taken", _takes("aggregate_type", lambda v: "WorkPackage")
        ),
        "takes-any-type": Fault("any event_type is taken", accepts(_known_type)),
        "takes-bad-causation": Fault(
            "causation_id is not looked at", _takes("causation_id", lambda v: None)
        ),
        "takes-causation-with-newline": Fault(
            "a newline after causation_id is taken",
            _takes("causation_id", lambda v: v.rstrip("\n") if isinstance(v, str) else v),
        ),
        "takes-any-correlation": Fault(
            "correlation_id is free text",
            _takes("correlation_id", lambda v: _ULID if isinstance(v, str) else v),
        ),
        "takes-version-with-newline": Fault(
            "a newline after schema_version is taken",
            _takes("schema_version", lambda v: v.rstrip("\n") if isinstance(v, str) else v),
        ),
        # takes too much: payload
        "takes-any-lane": Fault("lanes are free text", accepts(_any_lane)),
        "takes-missing-agent": Fault("agent_id may be absent", accepts(_some_agent)),
        "takes-unicode-digits": Fault(
            "WP٠١ is a work package", _takes_payload("wp_id", _ascii_digits)
        ),
        "takes-wp-with-newline": Fault(
            "a newline after wp_id is taken",
            _takes_payload("wp_id", lambda v: str(v).rstrip("\n")),
        ),
        "takes-any-wp": Fault("wp_id is free text", _takes_payload("wp_id", lambda v: "WP01")),
        "takes-empty-title": Fault(
            "title may be empty", _takes_payload("title", lambda v: v or "x")
        ),
        "takes-any-phase": Fault("phase is free text", _takes_payload("phase", lambda v: "review")),
        "takes-any-entry-type": Fault(
            "entry_type is free text", _takes_payload("entry_type", lambda v: "note")
        ),
        "takes-any-error-type": Fault(
            "error_type is free text", _takes_payload("error_type", lambda v: "unknown")
        ),
        "takes-any-dependencies": Fault(
            "dependencies are not looked at", _takes_payload("dependencies", lambda v: [])
        ),
        # takes too little
        "refuses-null-payload-fields": Fault(
            "null in the payload is not the same as absent",
            _if(lambda f: None in _payload(f).values(), "payload: null is no text"),
        ),
        "refuses-mission-slug": Fault(
            "mission_slug does not stand for feature_slug",
            _if(
                lambda f: "mission_slug" in _payload(f) and "feature_slug" not in _payload(f),
                "payload.feature_slug is missing",
            ),
        ),
        "refuses-null-causation": Fault(
            "causation_id null is refused",
            _if(lambda f: f.get("causation_id", "") is None, "causation_id is null"),
        ),
        "refuses-null-optionals": Fault(
            "null is not the same as absent",
            _if(lambda f: f.get("project_slug", "") is None, "project_slug is null"),
        ),
        "refuses-older-dialect": Fault(
            "correlation_id is demanded",
            _if(lambda f: f.get("correlation_id") is None, "correlation_id is missing"),
        ),
        "refuses-schema-3": Fault(
            "schema_version 3.x is refused",
            _if(lambda f: str(f.get("schema_version")).startswith("3"), "schema_version"),
        ),
        "refuses-extra-fields": Fault(
            "unknown envelope fields are refused",
            _if(lambda f: not f.keys() <= _CORE_FIELDS, "an unknown field"),
        ),
        "refuses-old-timestamps": Fault(
            "timestamps before 2000 are refused",
            _if(lambda f: f["timestamp"] < "2000", "timestamp is too old"),
        ),
        "refuses-future-timestamps": Fault(
            "timestamps after 2090 are refused",
            _if(lambda f: f["timestamp"] > "2090", "timestamp lies in the future"),
        ),
        "refuses-offsets": Fault(
            "timestamps must end with Z",
            _if(lambda f: not f["timestamp"].endswith("Z"), "timestamp is not UTC"),
        ),
        "refuses-large-clocks": Fault(
            "lamport_clock must fit in 32 bits",
            _if(lambda f: f["lamport_clock"] >= 2**31, "lamport_clock is out of range"),
        ),
        "refuses-clock-going-back": Fault("clocks must grow per node", _lowers_clock()),
        "refuses-unknown-cause": Fault("the cause must come first", _unknown_cause()),
        "knows-four-lanes": Fault(
            "only four lanes are known",
            _if(
                lambda f: (
                    not {_payload(f).get("from_lane"), _payload(f).get("to_lane")} <= _FOUR_LANES
                ),
                "to_lane is not known",
            ),
        ),
        "judges-transitions": Fault(
            "moves that the matrix does not have are refused",
            _if(
                lambda f: (
                    (_payload(f).get("from_lane"), _payload(f).get("to_lane"))
                    in (("planned", "done"), ("done", "planned"), ("claimed", "for_review"))
                ),
                "to_lane: illegal transition",
            ),
        ),
        "lacks-gate-types": Fault(
            "GatePassed and GateFailed are not known",
            _if(lambda f: f["event_type"].startswith("Gate"), "event_type is not known"),
        ),
        "refuses-non-ascii": Fault(
            "text outside ASCII is refused", _if(lambda f: not str(f).isascii(), "odd characters")
        ),
        # falls over
        "crashes-on-nul": Fault("500 for NUL", crashes(lambda e: b"\\u0000" in e.body)),
        "crashes-on-surrogate": Fault(
            "500 for a lone surrogate", crashes(lambda e: bool(_LONE_SURROGATE.search(e.body)))
        ),
        "crashes-on-emoji": Fault(
            "500 for characters of four bytes", crashes(lambda e: bool(_FOUR_BYTES.search(e.body)))
        ),
        "crashes-on-object-as-text": Fault(
            "500 when event_id or event_type is an object", crashes(_has_object_as_text)
        ),
        "crashes-on-missing-payload": Fault(
            "500 when payload is no object",
            crashes(lambda e: not isinstance((e.fields or {}).get("payload", {}), dict)),
        ),
        "crashes-on-non-object": Fault(
            "500 when an event is no object", crashes(lambda e: e.fields is None)
        ),
    }
)
