"""Every fault breaks something that a client can see, and the healthy receiver does not."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from receiver_server import Server, event, in_process, ulid

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.app import build_app
from spec_kitty_sync.receiver.faults import FAULTS, faulty
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.parts import Parts, healthy
from spec_kitty_sync.receiver.settings import Settings
from spec_kitty_sync.receiver.sqlite_store import SqliteEventStore
from spec_kitty_sync.receiver.users_file import read_users

_USERS = """
[[user]]
username = "ada"
team = "team-a"
tokens = ["token-a"]
expired_tokens = ["token-old"]
"""
_TOKEN = {"Authorization": "Bearer token-a"}
"""What the tests send; a fault may only change what comes back."""


def moved(number: int, **payload: Any) -> dict[str, Any]:
    """Return a WPStatusChanged event."""
    fields = {"wp_id": "WP01", "from_lane": "planned", "to_lane": "claimed", "actor": "x"}
    return event(number, event_type="WPStatusChanged", payload={**fields, **payload})


def typed(number: int, event_type: str, **payload: Any) -> dict[str, Any]:
    """Return an event of any type."""
    return event(number, event_type=event_type, payload=payload)


def created(number: int, **payload: Any) -> dict[str, Any]:
    """Return a WPCreated event with changes in its payload."""
    return event(number, payload={**event(1)["payload"], **payload})


def envelopes() -> list[Any]:
    """Return events with one thing each that a receiver may get wrong in the envelope."""
    changes: list[dict[str, Any]] = [
        {"event_id": "U" * 26}, {"event_id": ulid(3).lower()[:-1] + "z"}, {"event_id": {}},
        {"event_id": ulid(4) + "\n"}, {"lamport_clock": True}, {"lamport_clock": "1"},
        {"lamport_clock": 1.5}, {"lamport_clock": -1}, {"lamport_clock": ...},
        {"lamport_clock": 2**40}, {"timestamp": "2026-02-01T10:00:00"}, {"timestamp": "x"},
        {"timestamp": ...}, {"timestamp": "1970-01-01T00:00:00Z"}, {"node_id": ...},
        {"timestamp": "2099-01-01T00:00:00+05:30"}, {"payload": ...}, {"payload": None},
        {"project_uuid": "00000000-0000-0000-0000-000000000000"}, {"project_uuid": ...},
        {"project_uuid": "7c9e6679-7425-10de-944b-e07fc1f90ae7"}, {"event_type": "Nonsense"},
        {"project_uuid": "7c9e6679742540de944be07fc1f90ae7"}, {"aggregate_type": "Nothing"},
        {"causation_id": "x"}, {"causation_id": ulid(77)}, {"causation_id": ...},
        {"project_slug": None}, {"correlation_id": ...}, {"schema_version": "3.0.0"},
        {"build_id": "b"}, {"team_slug": "team-b"}, {"project_slug": "üñ", "x_big": [2**53 + 1]},
        {"project_slug": "\x00"}, {"project_slug": "\ud800"}, {"project_slug": "x" * 300_000},
        {"causation_id": ulid(77) + "\n"}, {"correlation_id": "x"}, {"schema_version": "1.0.0\n"},
    ]  # fmt: skip
    return [event(100 + index, **{"lamport_clock": index, **each})
            for index, each in enumerate(changes)]  # fmt: skip


def payloads() -> list[Any]:
    """Return events with one thing each that a receiver may get wrong in the payload."""
    return [
        created(200, wp_id="WP٠١"), created(201, wp_id="WP01\n"), created(202, wp_id="wp01"),
        created(203, title=""), created(204, dependencies=["x"]), moved(205),
        moved(206, to_lane="nowhere"), moved(207, from_lane="planned", to_lane="done"),
        typed(208, "WPAssigned", wp_id="WP01", agent_id="a", phase="x", retry_count=0),
        typed(209, "HistoryAdded", wp_id="WP01", entry_type="x", entry_content="y"),
        typed(210, "ErrorLogged", error_type="x", error_message="y"),
        typed(211, "GatePassed", gate_name="g", conclusion="success", check_run_id=1,
              check_run_url="https://x.invalid", delivery_id="d"),
        event(212, aggregate_id="\U0001f408"), None, 7, moved(213, actor=None),
        typed(214, "WPAssigned", wp_id="WP01", phase="review"), moved(215, mission_slug="001-m"),
    ]  # fmt: skip


def transcript(server: Server) -> list[Any]:
    """Return what a fixed story of requests is answered, without what differs by nature."""
    log: list[Any] = []

    def say(answer: httpx.Response) -> httpx.Response:
        headers = {name: answer.headers.get(name) for name in ("content-type", "www-authenticate")}
        log.append((answer.status_code, headers, answer.text))
        return answer

    def post(events: list[Any], **headers: str) -> httpx.Response:
        return say(server.post(events, **{**_TOKEN, **headers}))

    def raw(body: bytes, **headers: str) -> None:
        say(server.post_bytes(body, **{**_TOKEN, **headers}))

    first, other = event(1), event(1, node_id="other")
    health = [server.client.get("/api/v1/sync/health/") for _ in range(2)]
    log.append([each.status_code for each in health])
    facts = [each.json() for each in health if each.status_code == 200]
    log.append([{**each, "server_instance_id": type(each["server_instance_id"]).__name__}
                for each in facts])  # fmt: skip
    log.append(len({str(each["server_instance_id"]) for each in facts}))
    odd = [*envelopes(), *payloads()]
    for start in range(0, len(odd), 9):
        post(odd[start : start + 9])
    for header in ("", "Bearer nope", "Bearer token-old", "bearer token-a", "Basic token-a"):
        post([event(300)], Authorization=header)
        raw(b"{", Authorization=header)
    post([event(300)])
    post([first, first, event(2), other])
    post([first, event(2)])
    post([other])
    post([event(103, lamport_clock=0)])
    post([event(320), event(321, payload=[]), event(322)])
    post([event(321)])
    post([event(323, payload=[]), event(323)])
    post([event(323, project_uuid="5b8a1f6e-3c1d-4f6a-9d2e-0a1b2c3d4e5f")])
    post([event(400 + n, payload=[] if n < 6 else event(1)["payload"]) for n in range(9)])
    post([event(500 + n) for n in range(10)])
    post([event(600 + n) for n in range(11)])
    post([event(600 + n) for n in range(11)][:10])
    body = json.dumps({"events": [event(330)]}).encode()
    raw(body, X_New="1")
    raw(body, Content_Type="application/json; charset=utf-8")
    raw(gzip.compress(body), Content_Encoding="gzip")
    raw(gzip.compress(body[:9]) + gzip.compress(body[9:]), Content_Encoding="gzip")
    raw(body + b" " * 700_000)
    raw(body, Content_Encoding="br")
    raw(body, Content_Encoding="gzip")
    packed = gzip.compress(body)
    raw(packed[:-8] + b"\0" * 4 + packed[-4:], Content_Encoding="gzip")
    text = json.dumps({"events": [event(340)]}).encode()
    for broken in (
        text[:-2] + b",]}", b"\xef\xbb\xbf" + text, text.replace(b"WorkPackage", b"W\xff"),
        text.replace(b'"lamport_clock": 340', b'"lamport_clock": NaN'), text + b"x",
        text[len(b'{"events": ') : -1], b'{"events":[]}',
    ):  # fmt: skip
        raw(broken)
    say(server.client.request("GET", "/api/v1/events/batch/", headers=_TOKEN))
    say(server.client.post("/api/v1/events/batch/", headers=_TOKEN, content=iter([body])))
    for number in (1, 132):
        found = server.client.get(f"/api/v1/events/{ulid(number)}/", headers=_TOKEN).json()
        log.append(found.get("event"))
    log.append(race(server))
    instance = server.client.get("/api/v1/sync/health/").json().get("server_instance_id")
    server.client.post("/api/v1/testing/restart/", headers=_TOKEN)
    post([first])
    reset = server.client.post("/api/v1/testing/reset/", headers=_TOKEN).json()
    log.append(reset["server_instance_id"] == instance)
    return log


def gated_transcript(server: Server, clock: ManualClock) -> list[str]:
    """Return what a receiver with a gate, pending mode and a rate answers."""
    answers = [server.post([event(1)], X_Spec_Kitty_Sync_Protocol="2.0")]
    for _ in range(3):
        answers.append(server.post([event(1)]))
        clock.advance(6)
    answers += [server.post([event(2)]) for _ in range(5)]
    return [f"{each.status_code} {each.headers.get('retry-after')} {each.text}" for each in answers]


def race(server: Server) -> int:
    """Return how many of two posts of one event, one right after the other, are a success."""
    answers = [server.post([event(900)], **_TOKEN).text for _ in range(2)]
    return sum('"success"' in answer for answer in answers)


def told(folder: Path, *names: str) -> list[Any]:
    """Return the transcript of a receiver with the named faults, in this process."""
    folder.mkdir()
    (folder / "users.toml").write_text(_USERS)
    settings = Settings(
        database=folder / "r.db",
        users=read_users(folder / "users.toml", {}),
        limits=Limits(max_batch_events=10, max_body_bytes=1_000_000),
        test_hooks=True,
        faults=names,
    )
    app = build_app(settings, parts=broken(settings, names))
    with in_process(app) as server:
        log = transcript(server)
    return [*log, *gated(folder, names)]


def broken(settings: Settings, names: tuple[str, ...]) -> Parts:
    """Return the parts with the named faults; without an fsync per commit, to save time."""
    store = SqliteEventStore(settings.database, synchronous="NORMAL")
    return faulty(replace(healthy(settings), store=store), names)


def gated(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Return the second half of the story, told to a receiver with every brake on."""
    settings = Settings(
        database=folder / "gated.db",
        limits=Limits(requests_per_s=3),
        pending_s=10,
        protocols=("1.0",),
    )
    clock = ManualClock()
    app = build_app(settings, parts=broken(settings, names), clock=clock)
    with in_process(app) as server:
        return gated_transcript(server, clock)


@pytest.mark.parametrize(
    "share", [0, *(pytest.param(other, marks=pytest.mark.proof) for other in (1, 2))]
)
def test_faults_are_all_visible(tmp_path: Path, share: int) -> None:
    """With any fault on, the same story gets another answer somewhere; healthy ones agree."""
    expected = told(tmp_path / "healthy")
    assert told(tmp_path / "healthy-again") == expected
    unseen = []
    for name in sorted(FAULTS)[share::3]:
        log = told(tmp_path / name, name)
        assert all(each.pop("faults") == [name] for each in log[1])
        if log == expected:
            unseen.append(name)
    assert unseen == []


def test_faults_are_many_and_described() -> None:
    """There are at least 60 faults, each with a name for the command line and a description."""
    assert len(FAULTS) >= 60
    for name, fault in FAULTS.items():
        assert name == name.lower().replace("_", "-")
        assert fault.description
    assert len({fault.description for fault in FAULTS.values()}) == len(FAULTS)


def test_faults_unknown_name_is_refused(tmp_path: Path) -> None:
    """A fault that does not exist is an error, not a healthy receiver."""
    with pytest.raises(UsageError, match="no fault"):
        faulty(healthy(Settings(tmp_path / "r.db")), ["forgets-everything"])
