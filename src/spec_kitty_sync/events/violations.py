"""Turns what pydantic refuses into findings: stable codes, places, words for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from spec_kitty_sync.events.fields import PATTERN_WORDS
from spec_kitty_sync.events.findings import Finding, pointer, shorten
from spec_kitty_sync.events.lanes import LANE_ALIASES

LANE_FIELDS = ("from_lane", "to_lane")

_CODES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "missing",
        "string_too_short": "empty",
        "too_short": "empty",
        "string_pattern_mismatch": "wrong_pattern",
        "greater_than_equal": "out_of_range",
        "greater_than": "out_of_range",
        "less_than_equal": "out_of_range",
        "literal_error": "not_allowed",
        "enum": "not_allowed",
        "reason_missing": "reason_missing",
        "evidence_missing": "evidence_missing",
        "schema_version_unsupported": "schema_version_unsupported",
        "correlation_id_missing": "missing",
        "project_uuid_missing": "missing",
    }
)
_BELONGS_TO: Mapping[str, str] = MappingProxyType(
    {
        "reason_missing": "reason",
        "evidence_missing": "evidence",
        "schema_version_unsupported": "schema_version",
        "correlation_id_missing": "correlation_id",
        "project_uuid_missing": "project_uuid",
    }
)


def findings_of(
    error: ValidationError, value: Any, prefix: tuple[str, ...] = ()
) -> tuple[Finding, ...]:
    """Return one finding for each place in *value* that *error* blames, below *prefix*."""
    by_path: dict[str, Finding] = {}
    for each in error.errors(include_url=False):
        finding = _finding_of(dict(each), value, prefix)
        by_path.setdefault(finding.path, finding)
    return tuple(by_path.values())


def _finding_of(error: Mapping[str, Any], root: Any, prefix: tuple[str, ...]) -> Finding:
    kind, place = error["type"], _real_steps(error, root)
    if kind in _BELONGS_TO:
        place.append(_BELONGS_TO[kind])
    code, value = _CODES.get(kind, "wrong_type"), error["input"]
    if code == "not_allowed" and type(value) is not str:
        code = "wrong_type"
    path, name = pointer(*prefix, *place), ".".join(map(str, place)) or "event"
    if code == "missing" or kind in _BELONGS_TO:
        return Finding(code, "error", path, f"{name}: {_words(code, error)}")
    if place and place[-1] in LANE_FIELDS:
        code = _lane_code(code, value)
    return Finding(
        code, "error", path, f"{name} {shorten(value)}: {_words(code, error)}", shorten(value)
    )


def _real_steps(error: Mapping[str, Any], root: Any) -> list[str | int]:
    """Return the steps that lead through *root* to the fault; others name branches of unions."""
    steps: list[str | int] = []
    at = root
    for step in error["loc"]:
        if at is error["input"] and error["type"] != "missing":
            break
        if isinstance(at, dict):
            steps.append(step)
            at = at.get(step)
        elif isinstance(at, list) and isinstance(step, int):
            steps.append(step)
            at = at[step] if step < len(at) else None
    return steps


def _lane_code(code: str, value: Any) -> str:
    if type(value) is not str:
        return "wrong_type"
    if value in LANE_ALIASES:
        return "lane_alias"
    return "unknown_lane" if code == "not_allowed" else code


def _words(code: str, error: Mapping[str, Any]) -> str:
    match code:
        case "missing":
            return "required, but absent"
        case "lane_alias":
            return "an alias for commands; an event states 'in_progress'"
        case "unknown_lane":
            return "no such lane"
        case "reason_missing":
            return "a forced move needs a reason"
        case "evidence_missing":
            return "a move to done needs evidence"
    if code == "wrong_pattern":
        return PATTERN_WORDS.get(
            error.get("ctx", {}).get("pattern", ""), "not of the required form"
        )
    text = str(error["msg"])
    return text[0].lower() + text[1:]
