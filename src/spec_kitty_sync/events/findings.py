"""What validation says about an event: codes, places and words a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning"]

FINDING_CODES: Mapping[str, str] = MappingProxyType(
    {
        "json_encoding": "The bytes are not UTF-8.",
        "json_bom": "The text starts with a byte order mark.",
        "json_syntax": "The bytes are not one JSON value.",
        "json_number": "A number that not every reader has: NaN, Infinity, 1e999.",
        "json_duplicate_key": "An object states a key twice.",
        "json_surrogate": "A text holds half a surrogate pair.",
        "json_depth": "Objects and arrays are nested deeper than 64.",
        "json_integer_range": "An integer does not fit in 64 bits.",
        "not_object": "The event is not a JSON object.",
        "too_large": "The event is larger than the limit (256 KiB).",
        "missing": "A required field is absent.",
        "wrong_type": "A field has the wrong JSON type.",
        "empty": "A text or list is shorter than allowed.",
        "out_of_range": "A number is outside its range.",
        "wrong_pattern": "A text does not have the required form.",
        "not_allowed": "A value is not one of those the contract lists.",
        "unknown_lane": "No pack knows this lane.",
        "lane_alias": "`doing` is an alias for calls; an event states `in_progress`.",
        "field_lane": "A lane that released CLIs wrote and the contract does not have.",
        "reason_missing": "A forced move states no reason.",
        "evidence_missing": "A move to done states no evidence.",
        "unknown_event_type": "Nobody registered this event type.",
        "unknown_aggregate_type": "No pack has this aggregate type.",
        "unexpected_aggregate_type": "This event type belongs to another aggregate type.",
        "schema_version_unsupported": "The major version is neither 1 nor 3.",
        "no_identity": "No project_uuid: the event cannot leave the machine.",
        "not_canonical": "The event is of an older dialect (no correlation_id).",
        "schema_violation": "The payload breaks a rule of a registered JSON Schema.",
    }
)
"""Every code of a finding, with what it means; stable."""


class Finding(NamedTuple):
    """One rule that an event breaks (error) or bends (warning).

    `path` is a JSON Pointer; `message` names the field; `value` is the offending value, shortened.
    """

    code: str
    severity: Severity
    path: str
    message: str
    value: str | None = None


def pointer(*steps: str | int) -> str:
    """Return the JSON Pointer made of *steps*."""
    return "".join("/" + str(s).replace("~", "~0").replace("/", "~1") for s in steps)


def shorten(value: Any, *, limit: int = 60) -> str:
    """Return *value* in at most *limit* characters, quoted as JSON would."""
    text = repr(value) if not isinstance(value, dict | list) else _summary(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _summary(value: dict[str, Any] | list[Any]) -> str:
    kind = "an object" if isinstance(value, dict) else "a list"
    return f"{kind} of {len(value)}"
