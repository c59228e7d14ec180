"""A receiver whose memory is a file, which outlives a process that is killed talking to it."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from spec_kitty_sync._http import Reply
from spec_kitty_sync.errors import OfflineError

TARGET = "https://recorder.example/batch"
Judge = Callable[[str], Mapping[str, str]]
Hook = Callable[[str], None]


def accept(event_id: str) -> Mapping[str, str]:
    """Say what a receiver says that has room for everything."""
    return {"status": "success"}


class RecordedWire:
    """Stands where the `HttpClient` stands; everything above it is the product's own code.

    A batch is written down before it is judged, and the verdicts before they are told. Results
    come in reverse order, because CONTRACT 5 binds them by id alone. *hook* is called with
    `before`, `sent` and `told` around the two.
    """

    url = TARGET

    def __init__(self, path: Path, *, judge: Judge = accept, hook: Hook = lambda where: None):
        self._path = path
        self._judge = judge
        self._hook = hook

    def request(self, method: str, url: str, **request: object) -> Reply:
        """Take one batch as `HttpClient.request` would send it."""
        try:
            return self._request(gzip.decompress(request["body"]))
        except OSError as exc:  # as a socket's, where the process may open no file
            raise OfflineError(str(exc)) from exc

    def _request(self, body: bytes) -> Reply:
        ids = [event["event_id"] for event in json.loads(body)["events"]]
        self._hook("before")
        known = self.accepted()
        self._write(["sent", base64.b64encode(body).decode()])
        self._hook("sent")
        results = [{"event_id": each, **self._result(each, known)} for each in reversed(ids)]
        good = [r["event_id"] for r in results if r["status"] in ("success", "duplicate")]
        self._write(["told", good])
        self._hook("told")
        return Reply(200, {}, json.dumps({"results": results}).encode())

    def _result(self, event_id: str, known: set[str]) -> Mapping[str, str]:
        return {"status": "duplicate"} if event_id in known else self._judge(event_id)

    def sent(self) -> list[bytes]:
        """Return every batch body that arrived whole, in order."""
        return [base64.b64decode(data) for what, data in self._lines() if what == "sent"]

    def accepted(self) -> set[str]:
        """Return the ids that some answer called a success or a duplicate."""
        return {each for what, data in self._lines() if what == "told" for each in data}

    def _write(self, line: list[object]) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, json.dumps(line).encode() + b"\n")
        finally:
            os.close(handle)

    def _lines(self) -> list[list[object]]:
        if not self._path.exists():
            return []
        whole, _, _ = self._path.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in whole.split(b"\n") if line]


def ids_in(body: bytes) -> list[str]:
    """Return the ids of a batch body, in order."""
    return [event["event_id"] for event in json.loads(body)["events"]]
