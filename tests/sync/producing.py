"""A home, a project, a login and a real receiver: what the producing side works between."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from canary import CANARY

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.auth.client import AuthClient
from spec_kitty_sync.auth.credentials import Credentials
from spec_kitty_sync.sync.config import Settings, write_settings
from spec_kitty_sync.sync.emitter import EventEmitter
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.status import build_status
from spec_kitty_sync.sync.target_authority import resolve_target
from spec_kitty_sync.sync.websocket import WebSocketClient, WsDeadlines
from spec_kitty_sync.sync.ws_session import WsSession, ask_session

PASSWORD = f"{CANARY}-password"
TEAM = "team-a"


@dataclass
class Receiver:
    """`spec-kitty receiver serve` with users, on a port that survives a restart."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[str] | None = None
    log: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Receiver:
        """Start it, on the same port and database as before."""
        users = self.folder / "users.toml"
        users.write_text(
            f'[[user]]\nusername = "ada"\npassword = "{PASSWORD}"\nteam = "{TEAM}"\n'
            f'tokens = ["{CANARY}-static-ada"]\n'
            f'[[user]]\nusername = "bob"\npassword = "{PASSWORD}"\n'
            f'tokens = ["{CANARY}-static-bob"]\n'
        )
        self.log = (self.folder / "receiver.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "spec_kitty_sync", "receiver", "serve",
             "--port", str(self.port), "--users", str(users),
             "--database", str(self.folder / "receiver.db"), *self.options],
            stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line
        self.port = int(line.rpartition(":")[2])
        return self

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it; SIGKILL takes what was not durable with it."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(10)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.log.close()
            self.process = None

    def events(self, user: str = "ada") -> list[dict[str, Any]]:
        """Return every event that it keeps for the team of *user*, in the order it stored them."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/events/?limit=1000",
            headers={"Authorization": f"Bearer {CANARY}-static-{user}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return [row["event"] for row in json.load(answer)["events"]]

    def ids(self, user: str = "ada") -> list[str]:
        return [event["event_id"] for event in self.events(user)]


@dataclass
class Desk:
    """Somebody's machine: a home, a project, an environment."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "project" / ".kittify").mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def settings(self) -> Settings:
        return Settings(self.home, self.environ, self.project)

    def target(self, url: str, **more: str) -> None:
        """Choose where events go."""
        self.home.ensure()
        write_settings(self.home, {"server_url": url, **more})

    def login(self, url: str, user: str = "ada") -> Credentials:
        """Log in, for real."""
        return self.auth(url).login(user, PASSWORD)

    def auth(self, url: str) -> AuthClient:
        """Return the token client of this home for the server at *url*."""
        return AuthClient(
            self.home.ensure().credentials, url, clock=SystemClock(), open_client=HttpClient
        )

    def run(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `spec-kitty ARGS` to its end."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
        return subprocess.run(
            [sys.executable, "-m", "spec_kitty_sync", *args],
            cwd=self.project,
            env={**clean, "SPEC_KITTY_HOME": str(self.home.root), **self.environ},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


class Wire:
    """A port in front of a receiver that can be cut and mended."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._listener: socket.socket | None = None
        self.port = 0
        self._flowing = threading.Event()
        self.mend()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def mend(self) -> None:
        """Take connections (again), and let bytes flow."""
        self._flowing.set()
        if self._listener is None:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(16)
            self.port, self._listener = listener.getsockname()[1], listener
            threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse connections."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def stall(self) -> None:
        """Hold every byte back."""
        self._flowing.clear()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                here, _ = listener.accept()
            except OSError:
                return
            there = socket.create_connection(self._to)
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()


def live_client(desk: Desk, url: str, emitter: EventEmitter, **deadlines: float) -> WebSocketClient:
    """Return a client for the login of *desk*, not connected."""

    def open_session() -> WsSession:
        with HttpClient() as client:
            session = ask_session(url, client, desk.auth(url))
        return replace(session, login=resolve_target(desk.settings).login)

    return WebSocketClient(
        url, open_session, on_clock=emitter.clock.note, deadlines=WsDeadlines(**deadlines)
    )


@contextmanager
def live_emitter(desk: Desk, url: str, **deadlines: float) -> Iterator[EventEmitter]:
    """Yield an emitter with a connection that stands."""
    with open_emitter(desk.settings) as emitter:
        emitter.ws_client = live_client(desk, url, emitter, **deadlines)
        emitter.ws_client.connect()
        try:
            yield emitter
        finally:
            emitter.ws_client.disconnect()


def note(emitter: EventEmitter, text: str = "hello") -> str:
    """Emit a history line and return its id."""
    return emitter.emit_history_added("WP01", entry_type="note", entry_content=text).event_id


def ledger(desk: Desk) -> tuple[int, int]:
    """Return how many events are delivered, and how many still to deliver."""
    section = build_status(desk.settings).delivery_ledger
    return section.delivered_current_target, section.undelivered
