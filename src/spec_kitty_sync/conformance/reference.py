"""The reference receiver in a thread of this process, healthy or with one fault."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from spec_kitty_sync.receiver.app import build_app
from spec_kitty_sync.receiver.faults import faulty
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.parts import Parts, healthy
from spec_kitty_sync.receiver.principals import Principal, User
from spec_kitty_sync.receiver.settings import Settings

_STARTED_WITHIN_S = 20.0


@dataclass(frozen=True)
class Tokens:
    """Three ways to knock: ours, an expired one, another team's."""

    own: str = "sk-mutant-own-token"
    expired: str = "sk-mutant-expired-token"
    other_team: str = "sk-mutant-other-team-token"

    @property
    def spare(self) -> dict[str, str]:
        return {"expired": self.expired, "other_team": self.other_team}


TOKENS = Tokens()
TEAM = "team-a"


def _users(teams: bool) -> tuple[User, ...]:
    team = TEAM if teams else None
    own = User(Principal("kit", team=team), None, (TOKENS.own,), (TOKENS.expired,))
    other = User(Principal("stranger", team="team-b"), None, (TOKENS.other_team,))
    return (own, other) if teams else (own,)


@contextmanager
def reference_receiver(
    *faults: str,
    teams: bool = False,
    open_to_all: bool = False,
    requests_per_s: float | None = None,
    alter: Callable[[Parts], Parts] = lambda parts: parts,
    **settings: Any,
) -> Iterator[str]:
    """Serve the reference receiver with *faults* on a free port and yield its URL.

    *teams* makes our token one of a team, beside another; *alter* changes its parts; *settings*
    go to the receiver's own.

    Raises:
        UsageError: there is no fault of that name.
        TimeoutError: it did not start.
    """
    with tempfile.TemporaryDirectory(prefix="spec-kitty-mutant-") as folder:
        chosen = Settings(
            database=Path(folder) / "receiver.db",
            users=None if open_to_all else _users(teams),
            limits=Limits(requests_per_s=requests_per_s),
            test_hooks=True,
            faults=faults,
            **settings,
        )
        parts = alter(faulty(healthy(chosen), faults))
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
            listener.bind(("127.0.0.1", 0))
            config = uvicorn.Config(
                build_app(chosen, parts=parts),
                lifespan="on",
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
            with _running(_ThreadServer(config), listener):
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class _ThreadServer(uvicorn.Server):
    """A server that leaves signals to the main thread and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def _running(server: _ThreadServer, listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(
        target=lambda: asyncio.run(server._serve([listener])), name="mutant", daemon=True
    )
    thread.start()
    try:
        if not server.listening.wait(_STARTED_WITHIN_S) or not server.started:
            raise TimeoutError("the reference receiver did not start")
        yield
    finally:
        server.should_exit = True
        thread.join(10)
