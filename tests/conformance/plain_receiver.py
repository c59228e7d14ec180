"""A small receiver made of the standard library only: what an author's first version looks like."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from canary import CANARY

from spec_kitty_sync.conformance.builder import EXAMPLES

TOKEN = f"plain-{CANARY}"
_REQUIRED = {found.event_type: set(found.required) for found in EXAMPLES if not found.shape}


class PlainReceiver:
    """Keeps ids in a dictionary; `remembers = False` makes it forget them.

    With `last_answer` it takes no connection any more, and its process ends with that answer.
    """

    remembers = True
    last_answer = False
    health: ClassVar[dict[str, Any]] = {"status": "ok"}

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {}
        self._lock = threading.Lock()

    def answer(self, token: str | None, encoding: str | None, body: bytes) -> tuple[int, Any]:
        """Return status and JSON answer of one batch."""
        if token != f"Bearer {TOKEN}":
            return 401, {"error": "token missing or unknown"}
        try:
            parsed = json.loads(gzip.decompress(body) if encoding == "gzip" else body)
        except (ValueError, OSError, EOFError) as exc:
            return 400, {"error": "unreadable body", "details": str(exc)}
        events = parsed.get("events") if isinstance(parsed, dict) else None
        if not isinstance(events, list):
            return 400, {"error": "no list of events", "details": "events"}
        with self._lock:
            return 200, {"results": [self.take(event) for event in events]}

    def take(self, event: dict[str, Any]) -> dict[str, Any]:
        """Store one event, or say why not."""
        row: dict[str, Any] = {"event_id": event["event_id"]}
        missing = _REQUIRED.get(event["event_type"], set()) - set(event["payload"])
        if missing:
            return {**row, "status": "rejected", "error": f"payload.{min(missing)} is missing"}
        if event["event_id"] in self.stored:
            return {**row, "status": "duplicate"}
        if self.remembers:
            self.stored[event["event_id"]] = event
        return {**row, "status": "success"}


class ForgetfulReceiver(PlainReceiver):
    """Says success to everything, again and again."""

    remembers = False


@contextmanager
def serving(receiver: PlainReceiver, *, port: int = 0) -> Iterator[str]:
    """Serve *receiver* on localhost, on *port* or a free one, and yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/api/v1/testing/"):
                self.reply(404, {"error": "no such path"})
                return
            status, answer = receiver.answer(
                self.headers.get("Authorization"), self.headers.get("Content-Encoding"), body
            )
            self.reply(status, answer)

        def do_GET(self) -> None:
            self.reply(200, receiver.health)

        def reply(self, status: int, answer: Any) -> None:
            data = json.dumps(answer).encode()
            if receiver.last_answer:
                self.server.socket.close()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if receiver.last_answer:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)
            if receiver.last_answer:
                os._exit(1)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

        def handle_error(self, *args: object) -> None:
            """Clients that hang up are part of the tests."""

    server = Server(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
