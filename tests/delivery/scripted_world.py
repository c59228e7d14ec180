"""Receivers that misbehave by script, and connections that die on the N-th statement."""

from __future__ import annotations

import gzip
import json
import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._http import Reply
from spec_kitty_sync.delivery.answers import Answer, read_answer
from spec_kitty_sync.delivery.receivers import Gate, RetrySemantics, WireBatch
from spec_kitty_sync.delivery.selection import Limits
from spec_kitty_sync.errors import DeadlineError, OfflineError, TransportError

WORDS = (
    "success",
    "duplicate",
    "pending",
    "queued",
    "rejected",
    "failed_transient",
    "failed_permanent",
    "stored",
)
FAULTS = (
    "html",
    "mixed",
    "torn",
    "lost",
    "reset",
    "late",
    "offline",
    "500",
    "503",
    "429",
    "401",
    "403",
    "412",
    "302",
    "413",
    "400",
    "422 named",
    "400 named all",
    "expired",
)

_KINDS: dict[str, type[TransportError]] = {
    "reset": TransportError,
    "late": DeadlineError,
    "offline": OfflineError,
}


class World:
    """What one server has stored, first content first, and what it has told us."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.told: dict[int, set[str]] = {}

    def take(self, event_id: str, body: bytes) -> dict[str, str]:
        """Store the event as a correct receiver does and return its result."""
        known = self.stored.setdefault(event_id, body)
        if known is body:
            return {"event_id": event_id, "status": "success"}
        if known == body:
            return {"event_id": event_id, "status": "duplicate"}
        return {"event_id": event_id, "status": "rejected", "error": "other content is stored"}


class ScriptedReceiver:
    """A receiver in front of a world: one fault per request, then good behaviour."""

    endpoint_url = "https://scripted.example/api/v1/events/batch/"

    def __init__(
        self,
        world: World,
        *,
        epoch: int,
        clock: Clock,
        faults: Sequence[str] = (),
        seed: int = 0,
        batch: int = 3,
        poison: frozenset[str] = frozenset(),
    ) -> None:
        self._world = world
        self._told = world.told.setdefault(epoch, set())
        self._clock = clock
        self._faults = list(faults)
        self._random = random.Random(seed)
        self._poison = poison
        self.limits = Limits(events=batch)
        self.retry = RetrySemantics()
        self.wire: list[dict[str, bytes]] = []

    def gates(self) -> tuple[Gate, ...]:
        return ()

    def auth_headers(self) -> Mapping[str, str]:
        return {}

    def login_id(self) -> str:
        return ""

    def refresh(self) -> bool:
        return self._random.random() < 0.5

    def read(self, reply: Reply, sent: Sequence[str]) -> Answer:
        return read_answer(reply, sent, now_ms=self._clock.now_ms())

    def deliver(self, batch: WireBatch) -> Reply:
        events = split_events(gzip.decompress(batch.payload))
        assert tuple(events) == batch.event_ids
        self.wire.append(events)
        fault = self._faults.pop(0) if self._faults else ""
        if fault in ("reset", "late", "offline"):
            kinds: dict[str, type[TransportError]] = {
                "late": DeadlineError,
                "offline": OfflineError,
            }
            raise kinds.get(fault, TransportError)(fault)
        if self._poison & events.keys():
            return _error(400, "poison")
        if fault.isdigit():
            return _error(int(fault), fault)
        return self._answer(events, fault)

    def _answer(self, events: dict[str, bytes], fault: str) -> Reply:
        if fault == "html":
            return Reply(200, {}, b"<html>")
        if fault == "422 named":
            return _error(422, "named", [{"event_id": next(iter(events)), "error": "bad"}])
        if fault == "400 named all":
            return _error(400, "named", [{"event_id": i, "error": "bad"} for i in events])
        results = [self._result(i, body, fault) for i, body in events.items()]
        if fault == "lost":
            raise TransportError("the answer was lost")
        if fault == "torn":
            results = results[: len(results) // 2] + [
                {**result, "status": self._random.choice(WORDS)} for result in results
            ]
        self._note(results)
        self._random.shuffle(results)
        return Reply(200, {}, json.dumps({"results": results}).encode())

    def _result(self, event_id: str, body: bytes, fault: str) -> dict[str, str]:
        if fault in ("mixed", "torn"):
            word = self._random.choice(WORDS)
            if word not in ("success", "duplicate"):
                return {"event_id": event_id, "status": word, "error": "as scripted"}
        if fault == "expired" and self._random.random() < 0.5:
            words = {"error": "token expired", "error_category": "auth_expired"}
            return {"event_id": event_id, "status": "rejected", **words}
        return self._world.take(event_id, body)

    def _note(self, results: list[dict[str, str]]) -> None:
        """Remember which events an honest reading of this answer calls delivered."""
        words: dict[str, set[str]] = {}
        for result in results:
            words.setdefault(result["event_id"], set()).add(result["status"])
        good = {i for i, said in words.items() if said in ({"success"}, {"duplicate"})}
        self._told |= good


def split_events(body: bytes) -> dict[str, bytes]:
    """Return id → the exact bytes of each event of a batch body, in order."""
    inner = body.removeprefix(b'{"events":[').removesuffix(b"]}").decode()
    decoder = json.JSONDecoder()
    events: dict[str, bytes] = {}
    at = 0
    while at < len(inner):
        value, end = decoder.raw_decode(inner, at)
        events[value["event_id"]] = inner[at:end].encode()
        at = end + 1
    return events


def _error(status: int, words: str, details: Any = None) -> Reply:
    body = {"error": words, **({} if details is None else {"details": details})}
    headers = {"retry-after": "2"} if status in (429, 503) else {}
    return Reply(status, headers, json.dumps(body).encode())


class Killed(BaseException):
    """The process died here."""


class DyingConnection:
    """A connection whose process is killed before its N-th statement; later ones do not run."""

    def __init__(self, conn: sqlite3.Connection, left: int) -> None:
        self._conn = conn
        self._left = left

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self._run(self._conn.execute, *args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        return self._run(self._conn.executemany, *args)

    def _run(self, method: Callable[..., sqlite3.Cursor], *args: Any) -> sqlite3.Cursor:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return method(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)
