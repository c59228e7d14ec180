"""A real receiver on a real port, and events that it takes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from spec_kitty_sync.conformance.bounded import no_file_above

PROJECT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(number: int) -> str:
    """Return the ULID with the value *number*."""
    digits = ""
    for _ in range(26):
        digits = _ALPHABET[number % 32] + digits
        number //= 32
    return digits


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a valid event with the id `ulid(number)`; a change to `...` drops the field."""
    fields: dict[str, Any] = {
        "event_id": ulid(number),
        "event_type": "WPCreated",
        "aggregate_id": "WP01",
        "aggregate_type": "WorkPackage",
        "payload": {
            "wp_id": "WP01",
            "title": "Lay the foundation",
            "dependencies": [],
            "feature_slug": "001-sync",
        },
        "timestamp": "2026-02-01T10:00:00+00:00",
        "node_id": "0123456789ab",
        "lamport_clock": number,
        "causation_id": None,
        "correlation_id": ulid(99),
        "project_uuid": PROJECT,
        "schema_version": "1.0.0",
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not ...}


@dataclass
class Server:
    """A running `spec-kitty receiver serve`; without a process one inside the test."""

    url: str
    process: subprocess.Popen[str] | None
    client: httpx.Client

    def post(self, events: Sequence[Any], **kwargs: Any) -> httpx.Response:
        """Post *events* as one plain batch."""
        body = json.dumps({"events": list(events)}).encode()
        return self.post_bytes(body, **kwargs)

    def post_bytes(self, body: bytes, **headers: str) -> httpx.Response:
        """Post *body* as it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(
            "/api/v1/events/batch/",
            content=body,
            headers={"Content-Type": "application/json", **named},
        )

    def statuses(self, events: Sequence[Any]) -> list[str]:
        """Return the status of each of *events*, posted as one batch."""
        answer = self.post(events)
        assert answer.status_code == 200, answer.text
        return [result["status"] for result in answer.json()["results"]]

    def peak_mib(self) -> float:
        """Return the most memory that the process ever had; 0 where the system does not tell."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)


def start_server(
    *options: str, env: dict[str, str] | None = None, limit_file_bytes: int | None = None
) -> Server:
    """Start a receiver with *options* on a free port; no file of it may grow over the limit."""
    under = no_file_above(limit_file_bytes) if limit_file_bytes is not None else ()
    serve = (sys.executable, "-m", "spec_kitty_sync", "receiver", "serve", "--port", "0")
    process = subprocess.Popen(
        [*under, *serve, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on http://127.0.0.1:"):
        process.kill()
        raise AssertionError(f"{line!r} {process.communicate()}")
    url = line.removeprefix("listening on ").strip()
    return Server(url, process, httpx.Client(base_url=url, trust_env=False, timeout=30))


class InProcess(httpx.BaseTransport):
    """Carries requests to an ASGI app in this process; much faster than a server each time."""

    def __init__(self, app: ASGIApp) -> None:
        self._loop = asyncio.new_event_loop()
        self._asgi = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        scope = {"type": "lifespan", "state": {}}
        lifespan = app(scope, self._to_app.get, self._from_app.put)
        self._lifespan = self._loop.create_task(lifespan)
        self._tell("lifespan.startup")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(request.read())
        sent = httpx.Request(request.method, request.url, headers=request.headers, stream=stream)
        return self._loop.run_until_complete(self._answer(sent))

    def close(self) -> None:
        self._tell("lifespan.shutdown")
        self._loop.run_until_complete(self._lifespan)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._asgi.handle_async_request(request)
        body = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=body)

    def _tell(self, what: str) -> None:
        self._to_app.put_nowait({"type": what})
        answer = self._loop.run_until_complete(self._from_app.get())
        assert answer["type"] == f"{what}.complete", answer


@contextmanager
def in_process(app: ASGIApp) -> Iterator[Server]:
    """Run *app* in this process while the block runs."""
    with httpx.Client(transport=InProcess(app), base_url="http://in-process") as client:
        yield Server("http://in-process", None, client)
