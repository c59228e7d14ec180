"""Rules for events a producer has made, judged on their bytes alone; nothing is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from spec_kitty_sync._json import canonical_hash, loads_lenient, loads_strict
from spec_kitty_sync._words import plural
from spec_kitty_sync.errors import JsonError
from spec_kitty_sync.events.lanes import FieldLane, Lane
from spec_kitty_sync.events.registry import Registry
from spec_kitty_sync.events.validation import Validator

CONTRACT_LANES: Final = frozenset(lane.value for lane in Lane)
ID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
FIELD_LANES: Final = frozenset(lane.value for lane in FieldLane)
"""Released versions wrote these; they may stand in stored events, nobody should write them."""
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LANE_KEYS: Final = ("from_lane", "to_lane")
_KINDS_SHOWN: Final = 4
_PLACES_SHOWN: Final = 5
_REPR: Final = re.compile(r"^(UUID\(|<[\w.]+ object|datetime\.|PosixPath\()|^(None|True|False)$")
_BATCH_HEAD: Final = re.compile(r'\s*\{\s*"events"\s*:\s*\[\s*')
_BETWEEN: Final = re.compile(r"[\s,]*")
_DECODER: Final = json.JSONDecoder()
_CONSTANT: Final = re.compile(rb"[:\[,]\s*-?(NaN|Infinity)")
_NODE: Final = re.compile(r"[0-9a-f]{12,64}", re.ASCII)


@dataclass(frozen=True)
class Captured:
    """One event and where it was found."""

    body: bytes
    where: str
    row_id: str | None = None

    @property
    def parsed(self) -> dict[str, Any]:
        """The event as a dict; empty where the bytes are none."""
        try:
            value = loads_lenient(self.body)
        except JsonError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Breach:
    """One event that breaks a rule, and how."""

    event: Captured
    what: str

    @property
    def about(self) -> str:
        value = self.event.parsed.get("event_id")
        return value if isinstance(value, str) else ""


def envelope_breaches(events: Iterable[Captured], registry: Registry) -> list[Breach]:
    """Return events whose envelope breaks a rule of its dialect."""
    return _findings(events, registry, payload=False)


def payload_breaches(events: Iterable[Captured], registry: Registry) -> list[Breach]:
    """Return events whose payload breaks a rule of its type."""
    return _findings(events, registry, payload=True)


def id_breaches(events: Sequence[Captured]) -> list[Breach]:
    """Return events whose id is no ULID, or whose id another content has too."""
    contents: dict[str, bytes] = {}
    found = []
    for one in _objects(events):
        event_id = one.parsed.get("event_id")
        if not isinstance(event_id, str) or not ID.fullmatch(event_id):
            found.append(Breach(one, f"event_id {event_id!r} is no ULID"))
            continue
        told = content(one)
        if contents.setdefault(event_id, told) != told:
            found.append(Breach(one, f"{event_id} stands for two contents"))
    return found


def clock_breaches(events: Sequence[Captured]) -> list[Breach]:
    """Return events whose Lamport clock another event of the same node has too."""
    seen: dict[tuple[Any, Any], str] = {}
    found = []
    for one in events:
        event = one.parsed
        key = (event.get("node_id"), event.get("lamport_clock"))
        event_id = event.get("event_id")
        if not all(isinstance(part, str) for part in (event_id, key[0])) or type(key[1]) is not int:
            continue  # which is told where envelopes are
        if seen.setdefault(key, str(event_id)) != event_id:
            found.append(Breach(one, f"clock {key[1]} of node {key[0]} stands in {seen[key]} too"))
    return found


def node_breaches(events: Iterable[Captured]) -> list[Breach]:
    """Return events whose node_id looks like a host name instead of a hash of it."""
    return [
        Breach(one, f"node_id {one.parsed.get('node_id')!r} is not a hash in hex digits")
        for one in _objects(events)
        if not _NODE.fullmatch(str(one.parsed.get("node_id")))
    ]


def lane_breaches(events: Iterable[Captured]) -> list[Breach]:
    """Return status events that name a lane which neither contract nor released versions have."""
    return _lanes_outside(events, CONTRACT_LANES | FIELD_LANES)


def field_lane_breaches(events: Iterable[Captured]) -> list[Breach]:
    """Return status events that name a lane which only released versions had."""
    listed = list(events)
    others = {breach.event for breach in lane_breaches(listed)}
    found = _lanes_outside(listed, CONTRACT_LANES)
    return [breach for breach in found if breach.event not in others]


def _lanes_outside(events: Iterable[Captured], allowed: frozenset[str]) -> list[Breach]:
    found = []
    for one in events:
        payload = one.parsed.get("payload")
        if not isinstance(payload, dict):
            continue
        lanes = [payload[key] for key in _LANE_KEYS if payload.get(key) is not None]
        wrong = [lane for lane in lanes if lane not in allowed]
        if wrong and one.parsed.get("event_type") == "WPStatusChanged":
            found.append(Breach(one, f"lane {wrong[0]!r}"))
    return found


def type_breaches(events: Iterable[Captured]) -> list[Breach]:
    """Return events that hold a text which is the repr of an object instead of its value."""
    found = []
    for one in events:
        wrong = next((text for text in _texts(one.parsed) if _REPR.match(text)), None)
        if wrong is not None:
            found.append(Breach(one, f"the text {wrong!r} is a printed object, not a JSON value"))
    return found


def cause_breaches(events: Sequence[Captured]) -> list[Breach]:
    """Return events whose causation_id names no event among *events*."""
    known = {one.parsed.get("event_id") for one in events}
    return [
        Breach(one, f"causation_id {one.parsed['causation_id']} is unknown")
        for one in events
        if one.parsed.get("causation_id") is not None and one.parsed["causation_id"] not in known
    ]


def secret_breaches(events: Iterable[Captured], secrets: Iterable[str]) -> list[Breach]:
    """Return events whose bytes hold one of *secrets*."""
    wanted = [(word, word.encode()) for word in secrets if word]
    return [
        Breach(one, f"holds {word!r}") for one in events for word, raw in wanted if raw in one.body
    ]


def identity_breaches(events: Iterable[Captured]) -> list[Breach]:
    """Return events without a usable project_uuid, which may not leave the machine."""
    return [
        Breach(one, f"project_uuid is {one.parsed.get('project_uuid')!r}")
        for one in _objects(events)
        if not _is_uuid4(one.parsed.get("project_uuid"))
    ]


def ulid_ms(event_id: str) -> int:
    """Return the time part of a ULID, in epoch milliseconds."""
    value = 0
    for letter in event_id[:10]:
        value = value * 32 + _ALPHABET.index(letter)
    return value


def instant(text: object) -> float | None:
    """Return the epoch seconds of an RFC 3339 text with its zone; nothing where it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def event_bytes(batch: bytes) -> list[bytes]:
    """Return the events of a request body, each byte for byte; none where it is no batch."""
    text = batch.decode("utf-8", "surrogateescape")
    head = _BATCH_HEAD.match(text)
    found: list[bytes] = []
    place = head.end() if head else len(text)
    try:
        while place < len(text) and text[place] != "]":
            _, end = _DECODER.raw_decode(text, place)
            found.append(text[place:end].encode("utf-8", "surrogateescape"))
            between = _BETWEEN.match(text, end)
            place = between.end() if between else end
    except (ValueError, RecursionError):
        return []
    return found


def json_breach(batch: bytes) -> str:
    """Return why readers may refuse *batch* as JSON; empty where it is strict.

    A number that is too large for a float is legal in JSON, written as a number.
    """
    try:
        loads_strict(batch)
    except JsonError as error:
        if error.facts["reason"] == "json_number" and not _CONSTANT.search(batch):
            return ""
        return str(error)
    return ""


def summed_up(breaches: Sequence[Breach], total: int) -> str:
    """Return how many events break the rule and, grouped by what is wrong, one example each."""
    kinds: dict[str, list[Breach]] = {}
    for one in breaches:
        kinds.setdefault(_kind(one.what), []).append(one)
    events = len({(one.event.where, one.event.body) for one in breaches})
    told = sorted(kinds.values(), key=len, reverse=True)
    parts = [_told(group) for group in told[:_KINDS_SHOWN]]
    if len(told) > _KINDS_SHOWN:
        rest = [group[0].event.where for group in told[_KINDS_SHOWN:]]
        places = ", ".join(rest[:_PLACES_SHOWN]) + (" …" if len(rest) > _PLACES_SHOWN else "")
        more = plural(len(rest), "other kind")
        parts.append(f"{more} ({places}): `spec-kitty diagnose` tells every one")
    return f"{events} of {total} events: " + "; ".join(parts)


def _told(group: Sequence[Breach]) -> str:
    """Return what is wrong with events of one kind, with one as an example."""
    first, count = group[0], len(group)
    if count == 1:
        return f"{first.what} ({first.event.where})"
    if {one.what for one in group} == {first.what}:
        return f"{count} × {first.what}, the first at {first.event.where}"
    return f"{count} like “{first.what}” ({first.event.where})"


def _objects(events: Iterable[Captured]) -> Iterable[Captured]:
    """Return what is an event at all; the rest is told where envelopes are."""
    return (one for one in events if one.parsed)


def _findings(events: Iterable[Captured], registry: Registry, *, payload: bool) -> list[Breach]:
    validator = Validator(registry)
    found = []
    for one in events:
        for finding in validator.validate(one.body).findings:
            if finding.severity != "error":
                continue
            if (finding.path.startswith("/payload/")) is payload:
                place = finding.path or "the event"
                found.append(Breach(one, f"{finding.code} at {place}: {finding.message}"))
    return found


def _kind(what: str) -> str:
    return re.sub(r"[0-9A-Z]{26}|'[^']*'|\d+", "…", what)


def content(one: Captured) -> bytes:
    """Return what makes the content of an event: its canonical hash, else its bytes."""
    try:
        return canonical_hash(one.body)
    except JsonError:
        return one.body


def _is_uuid4(value: object) -> bool:
    pattern = (
        r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
    )
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _texts(value: Any) -> Iterable[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
