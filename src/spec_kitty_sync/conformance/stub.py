"""The one stub receiver: a live server on localhost that answers as it is told.

Untold, it behaves as the receiver model says: new events are `success`, known ones `duplicate`, a
known id with other content `rejected`. A script is a queue of answers for the coming batches;
`always` sets what comes after it.

    stub.next(refuse(503, headers={"Retry-After": "2"}), per_event({"01H…": rejected("bad lane")}))
"""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from spec_kitty_sync._extras import extra

with extra("conformance"):
    from pytest_httpserver import HTTPServer
    from werkzeug import Request, Response

from spec_kitty_sync.conformance.model import ReceiverModel

BATCH_PATH = "/api/v1/events/batch/"
HEALTH_PATH = "/api/v1/sync/health/"
TOKEN_PATH = "/api/v1/token/"
_DAY_S = 86_400


@dataclass(frozen=True)
class StubRequest:
    """One batch as it arrived. `bodies` are the events as parsed JSON.

    `wire` is the body before `raw` was unpacked from it; `problem` says why it is no batch.
    """

    path: str
    headers: Mapping[str, str]
    raw: bytes
    bodies: tuple[dict[str, Any], ...]
    method: str = "POST"
    wire: bytes = b""
    problem: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(str(body.get("event_id")) for body in self.bodies)


@dataclass(frozen=True)
class StubReply:
    """What goes back. `lose`: the work is done, but the connection breaks before the answer.

    `cut`: the connection breaks after the first half of the body.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    lose: bool = False
    cut: bool = False


Answer = Callable[[StubRequest, "StubServer"], StubReply]
Result = Mapping[str, Any]


def result(status: str, error: str | None = None, category: str | None = None) -> Result:
    """Return one event's result, without its id."""
    given = {"status": status, "error": error, "error_category": category}
    return {key: value for key, value in given.items() if value is not None}


def rejected(error: str, category: str | None = None) -> Result:
    """Return the result of a refused event."""
    return result("rejected", error, category)


_CONFLICT = rejected("event_id: stored before with other content", "id_conflict")
_PREFERRED = ("success", "rejected", "duplicate")


def per_event(results: Mapping[str, Result] | None = None, **reply: Any) -> Answer:
    """Answer 200: the given *results* by id, the usual ones for the rest."""

    def answer(request: StubRequest, stub: StubServer) -> StubReply:
        told = results or {}
        said = [
            {"event_id": one["event_id"], **(told.get(one["event_id"]) or stub.take(one))}
            for one in request.bodies
        ]
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


def cut_answer() -> Answer:
    """Store the batch, then break the connection in the middle of the answer."""
    return per_event(cut=True)


def edited(edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Answer:
    """Answer as usual, the list of results changed by *edit*."""

    def answer(request: StubRequest, stub: StubServer) -> StubReply:
        reply = per_event()(request, stub)
        return replace(reply, body=_dump({"results": edit(json.loads(reply.body)["results"])}))

    return answer


def poison(event_ids: str | Iterable[str], bad: Answer) -> Answer:
    """Answer *bad* to every batch that holds one of *event_ids*, as usual to the others."""
    wanted = {event_ids} if isinstance(event_ids, str) else set(event_ids)

    def answer(request: StubRequest, stub: StubServer) -> StubReply:
        return (per_event() if wanted.isdisjoint(request.ids) else bad)(request, stub)

    return answer


def late(seconds: float) -> Answer:
    """Answer as usual, *seconds* later."""
    return per_event(delay_s=seconds)


class _PromptServer(HTTPServer):
    """pytest-httpserver's server, which takes half a second to stop otherwise."""

    def thread_target(self) -> None:
        assert self.server is not None
        self.server.serve_forever(poll_interval=0.01)


class StubServer:
    """A receiver on a free port of localhost, or of *host*; a context manager."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._server = _PromptServer(host=host, threaded=True)
        self._script: deque[Answer] = deque()
        self._usual: Answer = per_event()
        self._lock = threading.Lock()
        self._model = ReceiverModel()
        self._known: set[str] = set()
        self.requests: list[StubRequest] = []
        self.replies: list[StubReply] = []
        self.health: dict[str, Any] = {"status": "ok"}
        self.health_asked = 0
        self.team_slug: str | None = None
        self.logins: list[str] = []

    @property
    def url(self) -> str:
        return self._server.url_for("").rstrip("/")

    @property
    def stored_ids(self) -> list[str]:
        """The ids that were acknowledged as stored, in order of arrival."""
        return list(self._model.settled)

    @property
    def seen_ids(self) -> list[str]:
        """Every id of every batch, in order of arrival, repeats included."""
        return [event_id for request in self.requests for event_id in request.ids]

    def next(self, *answers: Answer) -> None:
        """Answer the coming batches so, one each."""
        with self._lock:
            self._script.extend(answers)

    def drop_script(self) -> None:
        """Forget the answers that nobody asked for."""
        with self._lock:
            self._script.clear()

    def always(self, answer: Answer) -> None:
        """Answer so whenever the script is empty."""
        with self._lock:
            self._usual = answer

    def forget(self) -> None:
        """Be as new: nothing stored, nothing seen, no script."""
        with self._lock:
            self._script.clear()
            self._usual = per_event()
            self._model = ReceiverModel()
            self._known.clear()
            self.requests.clear()
            self.replies.clear()
            self.logins.clear()
            self.health = {"status": "ok"}
            self.health_asked = 0
            self.team_slug = None

    def take(self, event: dict[str, Any]) -> Result:
        """Take *event* as a receiver does, and return its result."""
        event_id = event["event_id"]
        with self._lock:
            if event_id in self._known:
                return result("duplicate")
            legal = self._model.legal(event, valid=True)
            status = next(one for one in _PREFERRED if one in legal)
            self._model.observe(event, status)
        return _CONFLICT if status == "rejected" else result(status)

    def know(self, event_id: str) -> None:
        """Have stored *event_id* before, whatever its content: it is a `duplicate`."""
        with self._lock:
            self._known.add(event_id)

    def __enter__(self) -> StubServer:
        self._server.expect_request(HEALTH_PATH).respond_with_handler(self._health)
        tokens = re.compile(f"{re.escape(TOKEN_PATH)}(refresh/)?")
        self._server.expect_request(tokens).respond_with_handler(self._token)
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
        self.health_asked += 1
        return Response(_dump(self.health), content_type="application/json")

    def _token(self, request: Request) -> Response:
        with self._lock:
            self.logins.append(request.path)
            number = len(self.logins)
        issued = {
            "access": f"stub-access-{number}",
            "refresh": f"stub-refresh-{number}",
            "access_lifetime": _DAY_S,
            "refresh_lifetime": _DAY_S,
            "team_slug": self.team_slug,
        }
        return Response(_dump(issued), content_type="application/json")

    def _batch(self, request: Request) -> Response:
        seen = _read(request)
        with self._lock:
            self.requests.append(seen)
            place = len(self.replies)
            self.replies.append(StubReply(0, b""))
            answer = self._script.popleft() if self._script else self._usual
        reply = answer(seen, self) if not seen.problem else _no_batch(seen)
        with self._lock:
            if place < len(self.replies):
                self.replies[place] = reply
        if reply.delay_s:
            time.sleep(reply.delay_s)
        if reply.lose or reply.cut:
            _break_off(request, reply)
        kind = "application/json"
        response = Response(reply.body, reply.status, content_type=kind)
        response.headers.update(reply.headers)
        return response


def _read(request: Request) -> StubRequest:
    wire = plain = request.get_data()
    head = dict(request.headers)
    try:
        if request.headers.get("Content-Encoding") == "gzip":
            plain = gzip.decompress(wire)
        bodies = tuple(json.loads(plain)["events"])
        if not all(isinstance(body, dict) for body in bodies):
            raise TypeError("an event is no object")
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as exc:
        problem = f"{type(exc).__name__}: {exc}"
        return StubRequest(request.path, head, plain, (), request.method, wire, problem)
    return StubRequest(request.path, head, plain, bodies, request.method, wire)


def _no_batch(request: StubRequest) -> StubReply:
    return StubReply(400, _dump({"error": f"no batch: {request.problem}", "details": "body"}))


def _break_off(request: Request, reply: StubReply) -> None:
    """Close the connection, for a cut answer after its first half."""
    connection = request.environ["werkzeug.socket"]
    if reply.cut:
        head = f"HTTP/1.1 {reply.status} OK\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(reply.body)}\r\n\r\n"
        connection.sendall(head.encode() + reply.body[: len(reply.body) // 2])
    connection.shutdown(socket.SHUT_RDWR)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
