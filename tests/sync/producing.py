"""A home, a project, a login and a real receiver: what the producing side works between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.auth.client import AuthClient
from spec_kitty_sync.auth.credentials import Credentials
from spec_kitty_sync.sync.config import Settings, write_settings

PASSWORD = "a-password-nobody-logs"
TEAM = "team-a"


def wait_until(condition: Callable[[], Any], *, within_s: float = 15.0) -> Any:
    """Return the first true answer of *condition*, or fail."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s")


@dataclass
class Receiver:
    """`spec-kitty receiver serve` with users, on a port that survives a restart."""

    folder: Path
    options: tuple[str, ...] = ()
    team: str | None = TEAM
    port: int = 0
    process: subprocess.Popen[str] | None = None
    log: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Receiver:
        """Start it, on the same port and database as before."""
        users = self.folder / "users.toml"
        team = f'team = "{self.team}"\n' if self.team else ""
        users.write_text(
            f'[[user]]\nusername = "ada"\npassword = "{PASSWORD}"\n{team}'
            'tokens = ["static-for-tests"]\n'
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

    def events(self) -> list[dict[str, Any]]:
        """Return every event that it keeps, in the order it stored them."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/events/?limit=1000",
            headers={"Authorization": "Bearer static-for-tests"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return [row["event"] for row in json.load(answer)["events"]]

    def ids(self) -> list[str]:
        return [event["event_id"] for event in self.events()]


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

    def login(self, url: str) -> Credentials:
        """Log in as ada, for real."""
        return self.auth(url).login("ada", PASSWORD)

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
