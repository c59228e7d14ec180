"""The two gates of an event on its way into and out of the journal (CONTRACT 6).

Admission decides what may be kept; the wire gate what may be sent. One parse serves both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from spec_kitty_sync import _json
from spec_kitty_sync._json_walk import INT64_MAX
from spec_kitty_sync.errors import AdmissionError, JsonError
from spec_kitty_sync.events.registry import DEFAULT_TIER, EventType, Registry

EVENT_LIMIT_BYTES = 262_144
KNOWN_MAJORS: frozenset[str] = frozenset({"1", "3"})

HOLD_CODES: frozenset[str] = frozenset(
    {
        "bad_audience",
        "bad_event_id",
        "bad_project_uuid",
        "json_depth",
        "json_duplicate_key",
        "json_integer_range",
        "json_number",
        "json_surrogate",
        "no_identity",
        "schema_version_unsupported",
        "too_large",
    }
)
"""Every code that `Admitted.hold` may have."""

_ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}").fullmatch
_UUID4 = re.compile(
    "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-4[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}"
).fullmatch
_VERSION = re.compile(r"([0-9]+)\.[0-9]+\.[0-9]+").fullmatch
_NO_TEAM = ("local", "", None)

Hold = tuple[str, str]


class Admitted(NamedTuple):
    """An event that may be kept, and what the journal indexes of it.

    `body` is what to store (a byte order mark is cut off, `notes` then says `bom_removed`).
    `tier` is the effective one; 0 never leaves the machine. `team` is None for no team. `hold` is
    the code under which the event is held back from every target, None when it may be sent.
    """

    event_id: str
    event_type: str
    body: bytes
    tier: int
    team: str | None
    project_uuid: str | None
    aggregate_id: str | None
    aggregate_type: str | None
    occurred_at: str | None
    lamport_clock: int | None
    correlation_id: str | None
    schema_version: str | None
    family: str
    coalesce_identity: str | None
    hold: str | None
    hold_detail: str | None
    notes: tuple[str, ...] = ()


def admit(
    body: bytes,
    *,
    registry: Registry,
    limit_bytes: int = EVENT_LIMIT_BYTES,
    row_id: str | None = None,
) -> Admitted:
    """Return what the journal needs to keep *body*; `row_id` is the id that its row states.

    Raises:
        AdmissionError: `facts["reason"]` is not_utf8, not_json, not_object, no_event_id or
            id_mismatch.
    """
    notes: tuple[str, ...] = ()
    if body.startswith(_json.BOM):
        body, notes = body[len(_json.BOM) :], ("bom_removed",)
    event, hold = _read(body)
    event_id = event.get("event_id")
    if type(event_id) is not str or not event_id:
        raise _refused("no_event_id", "the event has no id")
    if row_id is not None and row_id != event_id:
        raise _refused("id_mismatch", f"the row says {row_id[:40]!r}, the event {event_id[:40]!r}")
    event_type = event.get("event_type")
    known = registry.types.get(event_type) if type(event_type) is str else None
    if hold is None:
        hold = _wire_verdict(event, event_id, len(body), limit_bytes)
    project_uuid, team = event.get("project_uuid"), event.get("team_slug")
    return Admitted(
        event_id,
        event_type if type(event_type) is str else "",
        body,
        _effective_tier(event, known),
        None if team in _NO_TEAM or type(team) is not str else team,
        project_uuid.lower() if type(project_uuid) is str else None,
        _text(event.get("aggregate_id")),
        _text(event.get("aggregate_type")),
        _text(event.get("timestamp")),
        _clock(event.get("lamport_clock")),
        _text(event.get("correlation_id")),
        _text(event.get("schema_version")),
        known.family if known is not None else "team_bound",
        coalesce_identity(known, event) if known is not None and known.coalesce else None,
        hold[0] if hold else None,
        hold[1] if hold else None,
        notes,
    )


def coalesce_identity(event_type: EventType, event: Mapping[str, Any]) -> str | None:
    """Return the name of the thing that *event* describes anew, or None where a part is missing."""
    parts = [event_type.name]
    for paths in event_type.coalesce:
        part = next((v for p in paths.split("|") if (v := _at(event, p))), None)
        if part is None:
            return None
        parts.append(part)
    return "|".join(parts)


def _read(body: bytes) -> tuple[dict[str, Any], Hold | None]:
    """Return the object in *body*, and the hold when it is not strict JSON."""
    hold: Hold | None = None
    try:
        event = _json.loads_strict(body)
    except JsonError as strict:
        hold = (strict.facts["reason"], f"{strict.message} ({_place(strict)})")
        event = _read_leniently(body)
        if type(event) is dict:  # the first breach found need not be the only one
            event = _without_surrogates(event)
    if type(event) is not dict:
        raise _refused("not_object", "not a JSON object")
    return event, hold


def _without_surrogates(event: dict[str, Any]) -> dict[str, Any]:
    """Return *event* with texts that a database can index; its id must not need that."""
    clean = {
        key: value.encode("utf-8", "backslashreplace").decode() if type(value) is str else value
        for key, value in event.items()
    }
    if clean.get("event_id") != event.get("event_id"):
        raise _refused("no_event_id", "the id holds half a surrogate pair")
    return clean


def _read_leniently(body: bytes) -> Any:
    try:
        try:
            return _json.loads_lenient(body)
        except JsonError as error:
            if error.facts["reason"] in ("json_encoding", "json_syntax"):
                raise
            return _json.top_level(body)
    except JsonError as error:
        unreadable = error.facts["reason"] == "json_encoding"
        raise _refused("not_utf8" if unreadable else "not_json", error.message) from None


def _place(error: JsonError) -> str:
    if "pointer" in error.facts:
        return f"at {error.facts['pointer'] or '/'}"
    return f"character {error.facts.get('offset', 0)}"


def _refused(reason: str, message: str) -> AdmissionError:
    return AdmissionError(message, reason=reason)


def _wire_verdict(
    event: Mapping[str, Any], event_id: str, size: int, limit_bytes: int
) -> Hold | None:
    """Return why *event* may not leave the machine, or None."""
    if size > limit_bytes:
        return "too_large", f"{size} bytes, the limit is {limit_bytes}"
    if _ULID(event_id) is None:
        return "bad_event_id", f"{event_id[:40]!r} is not a ULID"
    project = event.get("project_uuid")
    if project is None:
        return "no_identity", "no project_uuid"
    if type(project) is not str or _UUID4(project) is None:
        return "bad_project_uuid", f"{str(project)[:40]!r} is not a version 4 UUID"
    version = event.get("schema_version")
    if version is not None and version != "1.0.0" and not known_major(version):
        return "schema_version_unsupported", f"{str(version)[:40]!r}; known majors are 1 and 3"
    return _audience_verdict(event)


def _audience_verdict(event: Mapping[str, Any]) -> Hold | None:
    """Return a hold when nobody can tell who may see *event*: sending would be a guess."""
    tier, team = event.get("data_tier"), event.get("team_slug")
    if tier is not None and (type(tier) is not int or not 0 <= tier <= 4):
        return "bad_audience", f"data_tier {str(tier)[:40]!r} is not 0-4"
    if team is not None and type(team) is not str:
        return "bad_audience", f"team_slug {str(team)[:40]!r} is not text"
    return None


def known_major(version: object) -> bool:
    """Return True when *version* is MAJOR.MINOR.PATCH with a major that we know."""
    found = _VERSION(version) if isinstance(version, str) else None
    return found is not None and found[1] in KNOWN_MAJORS


def _effective_tier(event: Mapping[str, Any], known: EventType | None) -> int:
    tier = event.get("data_tier")
    if type(tier) is int and 0 <= tier <= 4:
        return tier
    return known.tier if known is not None else DEFAULT_TIER


def _text(value: object) -> str | None:
    return value if type(value) is str else None


def _clock(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= INT64_MAX else None


def _at(event: Mapping[str, Any], path: str) -> str | None:
    value: Any = event
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value if type(value) is str else None
