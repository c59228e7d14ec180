"""The reference receiver as a process that can be killed at its own statements and frames."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from canary import CANARY
from fault_ground import Fuse, Point

from spec_kitty_sync._http import HttpClient, Reply
from spec_kitty_sync.receiver.app import build_app
from spec_kitty_sync.receiver.settings import Settings
from spec_kitty_sync.receiver.users_file import single_user

TOKEN = f"{CANARY}-live"
_STORED = "SELECT event_id, body FROM receiver_events ORDER BY seq"


class LiveReceiver:
    """A receiver in a forked child, always at the same address; dead until `start`.

    Its points are `sql`, a statement that it begins, and `wire`, each of: a message has come,
    before and after an answer goes.
    """

    def __init__(self) -> None:
        # Bound, never listening: keeps the address ours while no receiver runs.
        self._address = _bound(0)
        self.port: int = self._address.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._child: int | None = None
        self._said = -1

    def start(self, database: Path, point: Point | None = None) -> None:
        """Run it on *database*; it takes connections when this returns."""
        self.stop()
        listener = _bound(self.port)
        listener.listen()
        self._said, writer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            with suppress(BaseException):
                _be_the_receiver(database, listener, Fuse(point), writer)
            os._exit(1)
        os.close(writer)
        listener.close()

    @property
    def alive(self) -> bool:
        if self._child is not None and os.waitpid(self._child, os.WNOHANG)[0]:
            os.close(self._said)
            self._child = None
        return self._child is not None

    def stop(self) -> dict[str, int]:
        """End it at once, wherever it is; return how many points it passed."""
        if not self.alive:
            return {}
        assert self._child is not None
        os.kill(self._child, signal.SIGUSR1)
        with os.fdopen(self._said, "rb") as said:
            points: dict[str, int] = json.loads(said.read() or b"{}")
        os.waitpid(self._child, 0)
        self._child = None
        return points


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind(("127.0.0.1", port))
    return found


def _be_the_receiver(database: Path, listener: socket.socket, fuse: Fuse, writer: int) -> None:
    def end(*_: object) -> None:
        os.write(writer, json.dumps(dict(fuse.burnt)).encode())
        os._exit(0)

    signal.signal(signal.SIGUSR1, end)
    sqlite3.connect = fuse.connect  # type: ignore[assignment]
    app = build_app(Settings(database, users=single_user(TOKEN)))

    async def tapped(scope: Any, receive: Any, send: Any) -> None:
        async def take() -> Any:
            message = await receive()
            fuse.burn("wire")
            return message

        async def give(message: Any) -> None:
            fuse.burn("wire")
            await send(message)
            fuse.burn("wire")

        await app(scope, *((receive, send) if scope["type"] == "lifespan" else (take, give)))

    config = uvicorn.Config(tapped, lifespan="on", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


@dataclass
class ReceiverWire:
    """The way to a `LiveReceiver` whose events stand in *database*."""

    url: str
    database: Path
    bodies: list[bytes] = field(default_factory=list)

    def request(self, method: str, url: str, **request: Any) -> Reply:
        self.bodies.append(gzip.decompress(request["body"]))
        headers = {**request.pop("headers"), "Authorization": f"Bearer {TOKEN}"}
        with HttpClient() as client:
            return client.request(method, url, headers=headers, **request)

    def sent(self) -> list[bytes]:
        return self.bodies

    def accepted(self) -> set[str]:
        return {event_id for event_id, _ in self.stored()}

    def stored(self) -> list[tuple[str, bytes]]:
        """Return id and bytes of every event that the receiver keeps, each as often as it does."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as conn:
            return conn.execute(_STORED).fetchall()
