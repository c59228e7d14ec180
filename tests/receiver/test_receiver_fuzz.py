"""Broken input of every kind: always an answer of the contract, never a 5xx, never silence."""

from __future__ import annotations

import copy
import gzip
import json
import random
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from receiver_server import Server, event

_STATUSES = {"success", "duplicate", "rejected", "failed_permanent"}
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, -(2**63) - 1, 10**400, 1e308, "", "\x00", "\ud800",
    "a" * 5000, "WP01\n", "ＷＰ01", "٠١", "'; DROP TABLE receiver_events; --", "__proto__",
    [], {}, [[]], {"": {}}, {"$where": 1}, [None] * 50, "2026-02-30T00:00:00Z", "doing",
)  # fmt: skip


def check(server: Server, body: bytes, **headers: str) -> httpx.Response:
    """Post *body* and assert that the answer is one the contract has."""
    answer = server.post_bytes(body, **headers)
    content = answer.json()
    assert answer.headers["content-type"] == "application/json"
    if answer.status_code == 200:
        for result in content["results"]:
            assert result["status"] in _STATUSES
            if result["status"] in ("rejected", "failed_permanent"):
                assert 0 < len(result["error"]) <= 500
                assert result["error_category"]
    else:
        assert answer.status_code in (400, 413, 415), answer.text
        assert content["error"]
        assert answer.status_code != 400 or content["details"]
    return answer


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside *node*."""
    inside = node.items() if isinstance(node, dict) else enumerate(node if _is_list(node) else ())
    below = [each for key, value in inside for each in places(value, (*path, key))]
    return [*([path] if path else []), *below]


def _is_list(node: Any) -> bool:
    return isinstance(node, list)


def mutate(batch: Any, chance: random.Random) -> Any:
    """Return *batch* with one value dropped, replaced, doubled or wrapped."""
    batch = copy.deepcopy(batch)
    *way, last = chance.choice(places(batch))
    parent = batch
    for step in way:
        parent = parent[step]
    kind = chance.choice(("drop", "replace", "replace", "replace", "double", "wrap"))
    if kind == "drop":
        del parent[last]
    elif kind == "replace":
        parent[last] = copy.deepcopy(chance.choice(_ODD))
    elif kind == "double" and isinstance(parent, list):
        parent.insert(last, copy.deepcopy(parent[last]))
    elif kind == "double":
        parent[f"{last}x"] = copy.deepcopy(parent[last])
    else:
        parent[last] = chance.choice(([parent[last]], {"x": parent[last]}, json.dumps(str(last))))
    return batch


def damage(body: bytes, chance: random.Random) -> bytes:
    """Return *body* with some bytes lost, changed, doubled or put in."""
    start = chance.randrange(len(body))
    end = min(len(body), start + chance.choice((1, 1, 2, 8, 64)))
    junk = chance.choice(
        (b"\xff", b"\x00", b'"', b"{", b"}", b"[", b",", b"NaN", b"\\ud800", b"1e9")
    )
    return chance.choice(
        (body[:start], body[:start] + body[end:], body[:end] + body[start:],
         body[:start] + junk + body[end:], body[:start] + junk + body[start:], body[::-1])
    )  # fmt: skip


def run(server: Server, number: int, seed: int) -> int:
    """Send one mutated batch and return the status; a batch that is taken has every result."""
    chance = random.Random(seed * 1_000_003 + number)
    base = 50_000_000 + seed * 1_000_000 + number * 4
    batch: Any = {"events": [event(base + offset) for offset in range(3)]}
    for _ in range(chance.choice((1, 1, 2, 5))):
        if places(batch):
            batch = mutate(batch, chance)
    body = json.dumps(batch, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    kind = chance.randrange(4)
    if kind == 0:
        return check(server, damage(body, chance)).status_code
    if kind == 1:
        damaged = damage(gzip.compress(body), chance)
        return check(server, damaged, Content_Encoding="gzip").status_code
    packed = {"Content_Encoding": "gzip"} if kind == 2 else {}
    answer = check(server, gzip.compress(body) if kind == 2 else body, **packed)
    if answer.status_code == 200:
        echoed = [result["event_id"] for result in answer.json()["results"]]
        assert echoed == [_id(each) for each in batch["events"]]
    return answer.status_code


def _id(sent: Any) -> str | None:
    value = sent.get("event_id") if isinstance(sent, dict) else None
    return value if isinstance(value, str) else None


def test_fuzz_mutated_batches_are_answered_by_the_contract(open_receiver: Server) -> None:
    """Mutated batches get 200 with a result per event, or 400, 413, 415 with a reason."""
    statuses = [run(open_receiver, number, seed=1) for number in range(600)]
    assert min(statuses.count(200), statuses.count(400)) > 100
    assert open_receiver.statuses([event(49_000_001)]) == ["success"]


@pytest.mark.proof
def test_fuzz_ten_thousand_mutated_batches(open_receiver: Server) -> None:
    """The same for 10,000 batches."""
    statuses = [run(open_receiver, number, seed=2) for number in range(10_000)]
    assert min(statuses.count(200), statuses.count(400)) > 2000
    assert open_receiver.statuses([event(49_000_002)]) == ["success"]


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200), encoding=st.sampled_from(["identity", "gzip", "GZip"]))
def test_fuzz_raw_bytes_are_answered_400(open_receiver: Server, body: bytes, encoding: str) -> None:
    """Bytes of any kind get an answer of the contract."""
    check(open_receiver, body, Content_Encoding=encoding)


@settings(max_examples=100, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
        max_leaves=10,
    )
)
def test_fuzz_any_json_as_events_is_answered(open_receiver: Server, value: Any) -> None:
    """Any JSON value as the list, as an event, and as the whole body gets an answer."""
    for body in ({"events": value}, {"events": [value]}, value):
        check(open_receiver, json.dumps(body).encode())


@settings(max_examples=100, deadline=None)
@given(path=st.text(max_size=30), query=st.text(max_size=30))
def test_fuzz_reading_is_never_a_server_error(open_receiver: Server, path: str, query: str) -> None:
    """Odd paths and queries of the read API get 200 or a 4xx as JSON."""
    for url in (
        httpx.URL("/api/v1/events/" + "x", params={"after": query}),
        httpx.URL("/api/v1/events/", params={"project_uuid": query, "limit": path}),
    ):
        answer = open_receiver.client.get(url)
        assert answer.status_code in (200, 400, 404, 405)
        answer.json()
