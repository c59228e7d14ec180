"""A receiver of a few lines whose every answer a test decides."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from canary import CANARY

Verdict = dict[str, Any]


def accept(event: dict[str, Any]) -> Verdict:
    return {"event_id": event["event_id"], "status": "success"}


def reject(reason: str, category: str, *, status: str = "rejected") -> Callable[[Any], Verdict]:
    """Return a judge that refuses every event with the same words."""
    words = {"status": status, "error": reason, "error_category": category}
    return lambda event: {"event_id": event["event_id"], **words}


class SmallReceiver:
    """Answers batches with `judge`, or all of them with `answer` (status, body, headers), or with
    the bytes of `page` (status, page). A batch that holds the text `chokes_on` gets a bare 400."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.judge: Callable[[dict[str, Any]], Verdict] = accept
        self.answer: tuple[int, dict[str, Any], dict[str, str]] | None = None
        self.page: tuple[int, bytes] | None = None
        self.chokes_on = ""
        self.says_of_itself = {"environment_name": "small"}
        self.token: str | None = None
        self.logins = 0
        self.refreshes = True
        self.arrived = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.events: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, {"status": "ok", **receiver.says_of_itself}, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if "/token/" in self.path:
                    refused = "refresh" in self.path and not receiver.refreshes
                    answer = (401, {"error": "log in"}) if refused else (200, receiver.log_in())
                    self._send(*answer, {})
                    return
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                self._send(*receiver.decide(self.headers.get("Authorization"), json.loads(body)))

            def _send(self, status: int, document: Any, headers: dict[str, str]) -> None:
                data = json.dumps(document).encode()
                if receiver.page is not None:
                    status, data = receiver.page
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def log_in(self) -> dict[str, Any]:
        """Issue the token that is asked for from now on."""
        self.logins += 1
        self.token = f"{CANARY}-{self.logins}"
        return {
            "access": self.token, "refresh": f"{CANARY}-refresh", "access_lifetime": 3600,
            "refresh_lifetime": 36_000, "team_slug": "team-a",
        }  # fmt: skip

    def decide(self, token: str | None, document: Any) -> tuple[int, Any, dict[str, str]]:
        if self.token is not None and token != f"Bearer {self.token}":
            return 401, {"error": "the token is not valid"}, {}
        if self.answer is not None:
            return self.answer
        events = document["events"]
        if self.chokes_on and self.chokes_on in json.dumps(events):
            return 400, {"error": "bad request", "details": "bad request"}, {}
        if events:
            self.arrived.set()
            self.go_on.wait(20)
        self.events += events
        return 200, {"results": [self.judge(event) for event in events]}, {}

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self._scheme == "http" else "localhost"
        return f"{self._scheme}://{host}:{self._server.server_port}"

    def __enter__(self) -> SmallReceiver:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
