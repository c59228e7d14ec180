"""Whole requests and what a receiver may answer to them (CONTRACT 5)."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from corpus_replays import event

OK, REFUSED = 200, 400
STORED = ["success"]
REJECTED = ["rejected", "failed_permanent"]


@dataclass(frozen=True)
class Batch:
    """The raw body of one request, and the answers that the contract allows."""

    name: str
    shows: str
    body: bytes
    statuses: list[int]
    results: list[dict[str, Any]]
    encoding: str = "identity"
    names: str = ""


def assigned(number: int, **changes: Any) -> dict[str, Any]:
    """Return a valid WPAssigned event with an id that no other batch has."""
    payload = {"wp_id": "WP01", "agent_id": "claude", "phase": "review", "retry_count": 0}
    return event(number, number % 50, "WPAssigned", payload) | changes


def _broken(number: int) -> dict[str, Any]:
    made = assigned(number)
    made["payload"] = made["payload"] | {"phase": "lunch"}
    return made


def _request(*events: dict[str, Any]) -> bytes:
    return json.dumps({"events": list(events)}, ensure_ascii=False).encode()


def _gzip(body: bytes) -> bytes:
    """Return *body* as gzip, stored: the same bytes whatever zlib makes them."""
    deflate = zlib.compressobj(0, zlib.DEFLATED, -15)
    stored = deflate.compress(body) + deflate.flush()
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return head + stored + struct.pack("<II", zlib.crc32(body), len(body))


def _result(number: int, legal: list[str]) -> dict[str, Any]:
    return {"event_id": assigned(number)["event_id"], "legal": legal}


def _mixed(name: str, first: int, bad: int) -> Batch:
    numbers = range(first, first + 3)
    events = [_broken(n) if n == first + bad else assigned(n) for n in numbers]
    results = [_result(n, REJECTED if n == first + bad else STORED) for n in numbers]
    shows = "One bad event changes no other's result; its reason names `phase`."
    return Batch(name, shows, _request(*events), [OK], results, names="phase")


def _refused(name: str, shows: str, body: bytes, encoding: str = "identity") -> Batch:
    return Batch(name, shows, body, [REFUSED], [], encoding)


_ONE = _request(assigned(201))
_TWICE = assigned(202)
_ANYWAY = "An event of an older dialect is taken when it states what the wire needs."
_OLDER = {k: v for k, v in assigned(203).items() if k != "correlation_id"}

BATCHES: tuple[Batch, ...] = (
    Batch("one-event", "One valid event.", _ONE, [OK], [_result(201, STORED)]),
    Batch(
        "one-event-gzip",
        "The same as gzip.",
        _gzip(_request(assigned(204))),
        [OK],
        [_result(204, STORED)],
        "gzip",
    ),
    Batch(
        "same-event-twice",
        "The same id twice in one batch: stored once, told twice.",
        _request(_TWICE, _TWICE),
        [OK],
        [_result(202, ["success"]), _result(202, ["duplicate"])],
    ),
    Batch("identity-dialect", _ANYWAY, _request(_OLDER), [OK], [_result(203, STORED)]),
    Batch(
        "two-projects",
        "A batch may mix projects.",
        _request(assigned(205), assigned(206, project_uuid="1b4e28ba-2fa1-41d2-883f-0016d3cca427")),
        [OK],
        [_result(205, STORED), _result(206, STORED)],
    ),
    _mixed("bad-event-first", 210, 0),
    _mixed("bad-event-in-the-middle", 220, 1),
    _mixed("bad-event-last", 230, 2),
    _refused("not-json", "The body is no JSON.", b"events"),
    _refused("truncated", "The body ends in the middle.", _request(assigned(240))[:-40]),
    _refused("list-instead-of-object", "The events without their object.", b"[]"),
    _refused("events-is-an-object", "`events` is no list.", b'{"events": {}}'),
    _refused("events-missing", "There is no `events`.", b'{"event": []}'),
    _refused("broken-gzip", "The header says gzip, the body is plain.", _ONE, "gzip"),
    _refused(
        "truncated-gzip",
        "The gzip stream ends in the middle.",
        _gzip(_request(assigned(241)))[:-12],
        "gzip",
    ),
)
