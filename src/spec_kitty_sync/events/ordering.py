"""The order in which reducers read events, and whose events they are (CONTRACT 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any

from spec_kitty_sync import _json

if TYPE_CHECKING:
    from spec_kitty_sync.events.models import Event

SortKey = tuple[int, int, str]
MissionKey = tuple[str | None, str | None]
_NANOS = 1_000_000_000


def status_event_sort_key(event: Event) -> SortKey:
    """Return (lamport_clock, timestamp as nanoseconds since year 1, event_id)."""
    return event.lamport_clock, instant_ns(event.timestamp), event.event_id


def instant_ns(timestamp: str) -> int:
    """Return the instant that an RFC 3339 *timestamp* names, in nanoseconds since year 1 (UTC).

    Takes what the envelope allows: any offset, up to nine fraction digits; no instant overflows.
    """
    day = date(int(timestamp[:4]), int(timestamp[5:7]), int(timestamp[8:10])).toordinal()
    hour, minute, second = int(timestamp[11:13]), int(timestamp[14:16]), int(timestamp[17:19])
    rest = timestamp[19:]
    if rest.endswith("Z"):
        fraction, offset_s = rest[:-1], 0
    else:
        fraction, sign = rest[:-6], -1 if rest[-6] == "-" else 1
        offset_s = sign * (int(rest[-5:-3]) * 3600 + int(rest[-2:]) * 60)
    seconds = day * 86_400 + hour * 3600 + minute * 60 + second - offset_s
    return seconds * _NANOS + int(fraction[1:].ljust(9, "0") or 0)


def sort_events(events: Iterable[Event]) -> list[Event]:
    """Return *events* in the reducers' order; where all else is equal, by canonical hash."""
    ordered: list[Event] = []
    keyed = sorted(((status_event_sort_key(e), e) for e in events), key=lambda pair: pair[0])
    for _, run in groupby(keyed, key=lambda pair: pair[0]):
        equal = [event for _, event in run]
        if len(equal) > 1:
            equal.sort(key=lambda e: _json.canonical_hash(e.to_wire()))
        ordered.extend(equal)
    return ordered


def dedup_events(events: Sequence[Event]) -> list[Event]:
    """Return the first of each event_id, in the given order."""
    first: dict[str, Event] = {}
    for event in events:
        first.setdefault(event.event_id, event)
    return list(first.values())


def partition_by_mission(events: Iterable[Event]) -> dict[MissionKey, list[Event]]:
    """Return *events* by (project_uuid, mission slug): work packages are unique within one only.

    An event that states only a mission_id goes to the slug that another one ties to that id, or
    stands under the id; one that states neither goes under None.
    """
    known = list(events)
    slugs: dict[tuple[str | None, str], str] = {}
    for event in known:
        slug, mission_id = mission_slug(event.payload), _text(event.payload, "mission_id")
        if slug and mission_id:
            slugs.setdefault((event.project_uuid, mission_id), slug)
    parts: dict[MissionKey, list[Event]] = {}
    for event in known:
        slug, mission_id = mission_slug(event.payload), _text(event.payload, "mission_id")
        if slug is None and mission_id is not None:
            slug = slugs.get((event.project_uuid, mission_id), mission_id)
        parts.setdefault((event.project_uuid, slug), []).append(event)
    return parts


def mission_slug(payload: Mapping[str, Any]) -> str | None:
    """Return the mission or feature slug that *payload* states, or None."""
    namespace = payload.get("namespace")
    for place in (payload, namespace if isinstance(namespace, dict) else {}):
        for key in ("mission_slug", "feature_slug"):
            if (slug := _text(place, key)) is not None:
                return slug
    return None


def _text(payload: Mapping[str, Any], key: str) -> str | None:
    value = payload.get(key)
    return value if isinstance(value, str) and value else None
