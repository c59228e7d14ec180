"""A receiver that answers byte for byte what a test wants, and behaves when nothing is scripted."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Mapping, Sequence

from rude_server import RudeServer

from spec_kitty_sync.conformance.stub import BATCH_PATH

Ids = Sequence[str]
Rudeness = Callable[[socket.socket, Ids], None]
"""Answers one batch on its connection; the ids are those that were sent."""


class RudeReceiver(RudeServer):
    """Answers batches with `script`, one rudeness each, then stores like a good receiver.

    Every connection serves one request. `stored` are the ids that were stored, in order;
    `batches` the ids of every batch that came; `health` is what a health request is answered.
    """

    def __init__(self, *script: Rudeness) -> None:
        super().__init__(self._serve_one)
        self.script = list(script)
        self.usual: Rudeness = self.behave
        self.batches: list[list[str]] = []
        self.stored: list[str] = []
        self.health: bytes | None = None

    def _serve_one(self, connection: socket.socket) -> None:
        head, _, body = self.requests[-1].partition(b"\r\n\r\n")
        if BATCH_PATH.encode() not in head.partition(b"\r\n")[0]:
            page = answer(404) if self.health is None else answer(200, self.health)
            connection.sendall(page)
            return
        ids = [event["event_id"] for event in json.loads(gzip.decompress(body))["events"]]
        self.batches.append(ids)
        (self.script.pop(0) if self.script else self.usual)(connection, ids)

    def behave(self, connection: socket.socket, ids: Ids) -> None:
        """Store *ids* and say so."""
        connection.sendall(answer(200, results(self.store(ids))))

    def store(self, ids: Ids) -> dict[str, str]:
        """Store *ids* and return the word for each."""
        known = set(self.stored)
        self.stored += [each for each in ids if each not in known]
        return {each: "duplicate" if each in known else "success" for each in ids}

    def store_and(self, rudeness: Rudeness) -> Rudeness:
        """Store the batch, then answer with *rudeness*: the work is done, the word is lost."""

        def handle(connection: socket.socket, ids: Ids) -> None:
            self.store(ids)
            rudeness(connection, ids)

        return handle


def answer(status: int | str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """Return a whole HTTP answer; *headers* may lie about its body."""
    said = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in said.items() if value)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def results(words: Mapping[str, str]) -> bytes:
    """Return the body that says these statuses."""
    said = [{"event_id": event_id, "status": word} for event_id, word in words.items()]
    return json.dumps({"results": said}).encode()


def say_for(make: Callable[[Ids], bytes]) -> Rudeness:
    """Send the bytes that *make* returns for the ids sent, then close."""
    return lambda connection, ids: connection.sendall(make(ids))


def say_always(data: bytes) -> Rudeness:
    """Send exactly *data*, then close."""
    return lambda connection, ids: connection.sendall(data)
