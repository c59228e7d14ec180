"""Receivers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from receiver_server import Server, start_server


@pytest.fixture
def serve_receiver() -> Iterator[Callable[..., Server]]:
    """Start receivers; all of them end with the test."""
    started: list[Server] = []

    def start(*options: str, **kwargs: Any) -> Server:
        started.append(start_server(*options, **kwargs))
        return started[-1]

    yield start
    for server in started:
        server.client.close()
        server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="session")
def open_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One receiver without authentication, shared by all tests of a worker: use fresh ids."""
    folder: Path = tmp_path_factory.mktemp("receiver")
    server = start_server("--no-auth", "--database", str(folder / "r.db"))
    yield server
    server.client.close()
    server.process.kill()
    server.process.communicate()
