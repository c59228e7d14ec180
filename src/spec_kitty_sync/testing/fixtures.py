"""Pytest fixtures for other people's tests; a plugin that imports nothing until one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from spec_kitty_sync.conformance.stub import StubServer
    from spec_kitty_sync.event_journal.journal import SqliteJournal
    from spec_kitty_sync.events.models import Event
    from spec_kitty_sync.sync.emitter import EventEmitter

MakeEvent = Callable[..., "Event"]
WriteQueue = Callable[..., Path]


@pytest.fixture
def sk_receiver() -> Iterator[StubServer]:
    """A receiver on a free port of localhost that answers as it is told."""
    from spec_kitty_sync.conformance.stub import StubServer

    with StubServer() as stub:
        yield stub


@pytest.fixture
def sk_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; `SPEC_KITTY_HOME` names it for as long as the test runs."""
    import os

    for name in [name for name in os.environ if name.startswith("SPEC_KITTY_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "spec-kitty-home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("SPEC_KITTY_HOME", str(home))
    return home


@pytest.fixture
def sk_journal(sk_home: Path) -> Iterator[SqliteJournal]:
    """The journal of `sk_home`."""
    from spec_kitty_sync._clock import SystemClock
    from spec_kitty_sync._files import Home
    from spec_kitty_sync.event_journal.journal import SqliteJournal
    from spec_kitty_sync.sync.store import open_home

    with open_home(Home(sk_home)) as store:
        yield SqliteJournal(store, clock=SystemClock())


@pytest.fixture
def sk_emitter(sk_home: Path, tmp_path: Path) -> Iterator[EventEmitter]:
    """An emitter on `sk_home`, for a project of its own; nothing is delivered."""
    import os

    from spec_kitty_sync._files import Home
    from spec_kitty_sync.sync.config import Settings
    from spec_kitty_sync.sync.emitting import open_emitter

    project = tmp_path / "project"
    (project / ".kittify").mkdir(parents=True)
    with open_emitter(Settings(Home(sk_home), dict(os.environ), project)) as emitter:
        yield emitter


@pytest.fixture
def sk_event() -> MakeEvent:
    """A function that makes a valid event: `sk_event("WPCreated", title="Login")`."""
    from spec_kitty_sync.testing.making import make_event

    return make_event


@pytest.fixture
def sk_legacy_queue(sk_home: Path) -> WriteQueue:
    """A function that writes events into an old queue of `sk_home`, and returns its path."""
    from spec_kitty_sync.testing.making import write_legacy_queue

    def write(*events: Any, name: str = "queue.db") -> Path:
        return write_legacy_queue(sk_home / name, events)

    return write
