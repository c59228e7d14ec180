"""The one stub receiver: a live server on localhost that answers as it is told.

Untold, it behaves: new ids are `success`, known ones `duplicate`. A script is a queue of
answers for the coming batches; `always` sets what comes after it.

    stub.next(refuse(503, headers={"Retry-After": "2"}), per_event({"01H…": rejected("bad lane")}))
"""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

BATCH_PATH = "/api/v1/events/batch/"
HEALTH_PATH = "/api/v1/sync/health/"


@dataclass(frozen=True)
class StubRequest:
    """One batch as it arrived. `bodies` are the events as parsed JSON."""

    path: str
    headers: Mapping[str, str]
    raw: bytes
    bodies: tuple[dict[str, Any], ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(body["event_id"] for body in self.bodies)


@dataclass(frozen=True)
class StubReply:
    """What goes back. `lose`: the work is done, but the connection breaks before the answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    lose: bool = False


Answer = Callable[[StubRequest, "StubServer"], StubReply]
Result = Mapping[str, Any]


def result(status: str, error: str | None = None, category: str | None = None) -> Result:
    """Return one event's result, without its id."""
    given = {"status": status, "error": error, "error_category": category}
    return {key: value for key, value in given.items() if value is not None}


def rejected(error: str, category: str | None = None) -> Result:
    """Return the result of a refused event."""
    return result("rejected", error, category)


def per_event(results: Mapping[str, Result] | None = None, **reply: Any) -> Answer:
    """Answer 200: the given *results* by id, the usual ones for the rest."""

    def answer(request: StubRequest, stub: StubServer) -> StubReply:
        said = [{"event_id": i, **((results or {}).get(i) or stub.store(i))} for i in request.ids]
        return StubReply(body=_dump({"results": said}), **reply)

    return answer


def each(what: Result | Callable[[str], Result | None], **reply: Any) -> Answer:
    """Answer 200 with *what* for every event; a callable may return None for the usual one."""

    def answer(request: StubRequest, stub: StubServer) -> StubReply:
        chosen = {i: what(i) if callable(what) else what for i in request.ids}
        usable = {i: said for i, said in chosen.items() if said is not None}
        return per_event(usable, **reply)(request, stub)

    return answer


def refuse(
    status: int,
    error: str = "no",
    *,
    details: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Answer the whole batch with *status*; nothing is stored."""
    body = {"error": error} if details is None else {"error": error, "details": details}
    return lambda request, stub: StubReply(status, _dump(body), headers or {})


def raw(body: bytes, status: int = 200, **reply: Any) -> Answer:
    """Answer with exactly these bytes; nothing is stored."""
    return lambda request, stub: StubReply(status, body, **reply)


def lose_answer() -> Answer:
    """Store the batch, then break the connection instead of answering."""
    return per_event(lose=True)


def late(seconds: float) -> Answer:
    """Answer as usual, *seconds* later."""
    return per_event(delay_s=seconds)


class _PromptServer(HTTPServer):
    """pytest-httpserver's server, which takes half a second to stop otherwise."""

    def thread_target(self) -> None:
        assert self.server is not None
        self.server.serve_forever(poll_interval=0.01)


class StubServer:
    """A receiver on a free port of localhost; a context manager."""

    def __init__(self) -> None:
        self._server = _PromptServer(host="127.0.0.1", threaded=True)
        self._script: deque[Answer] = deque()
        self._usual: Answer = per_event()
        self._lock = threading.Lock()
        self._stored: dict[str, int] = {}
        self.requests: list[StubRequest] = []
        self.health: dict[str, Any] = {"status": "ok"}

    @property
    def url(self) -> str:
        return self._server.url_for("").rstrip("/")

    @property
    def stored_ids(self) -> list[str]:
        """The ids that were acknowledged as stored, in order of arrival."""
        return list(self._stored)

    @property
    def seen_ids(self) -> list[str]:
        """Every id of every batch, in order of arrival, repeats included."""
        return [event_id for request in self.requests for event_id in request.ids]

    def next(self, *answers: Answer) -> None:
        """Answer the coming batches so, one each."""
        with self._lock:
            self._script.extend(answers)

    def always(self, answer: Answer) -> None:
        """Answer so whenever the script is empty."""
        with self._lock:
            self._usual = answer

    def store(self, event_id: str) -> Result:
        """Take the id: `success` the first time, `duplicate` after that."""
        with self._lock:
            known = event_id in self._stored
            self._stored[event_id] = self._stored.get(event_id, 0) + 1
        return result("duplicate" if known else "success")

    def __enter__(self) -> StubServer:
        self._server.expect_request(HEALTH_PATH).respond_with_handler(self._health)
        self._server.expect_request(re.compile(".*")).respond_with_handler(self._batch)
        self._server.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()

    def _health(self, request: Request) -> Response:
        return Response(_dump(self.health), content_type="application/json")

    def _batch(self, request: Request) -> Response:
        seen = _read(request)
        with self._lock:
            self.requests.append(seen)
            answer = self._script.popleft() if self._script else self._usual
        reply = answer(seen, self)
        if reply.delay_s:
            time.sleep(reply.delay_s)
        if reply.lose:
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response(
            reply.body,
            reply.status,
            headers=dict(reply.headers),
            content_type="application/json",
        )


def _read(request: Request) -> StubRequest:
    raw_body = request.get_data()
    plain = raw_body
    if request.headers.get("Content-Encoding") == "gzip":
        plain = gzip.decompress(raw_body)
    bodies = tuple(json.loads(plain)["events"])
    return StubRequest(request.path, dict(request.headers), plain, bodies)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
