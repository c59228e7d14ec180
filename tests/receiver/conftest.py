"""Receivers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import drop_database, new_database, postgres_server
from receiver_server import Server, start_server

POSTGRES = pytest.mark.xdist_group("postgres")
"""Tests on PostgreSQL run in one process, so that its server is started once."""


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server, or a skip where none can be installed."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    url = new_database(postgres)
    yield url
    drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=POSTGRES)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """The address of an empty database, once of each kind."""
    if request.param == "sqlite":
        return tmp_path / "receiver.db"
    return str(request.getfixturevalue("postgres_database"))
