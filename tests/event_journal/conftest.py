"""A journal on a real file, and events to put into it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import Admitted, admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

PROJECT = "550e8400-e29b-41d4-a716-446655440000"
MakeEvent = Callable[..., Admitted]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "sk")


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with open_home(home) as store:
        yield store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def journal(store: Store, clock: ManualClock) -> SqliteJournal:
    return SqliteJournal(store, clock=clock)


@pytest.fixture
def make_event() -> MakeEvent:
    """Return a maker of admitted events; keywords replace or (None → drop) envelope fields."""

    def make(**fields: Any) -> Admitted:
        envelope: dict[str, Any] = {
            "event_id": str(ULID()),
            "event_type": "HistoryAdded",
            "aggregate_id": "WP01",
            "aggregate_type": "WorkPackage",
            "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": "x"},
            "timestamp": "2026-02-12T10:00:00Z",
            "node_id": "a1b2c3d4e5f6",
            "lamport_clock": 1,
            "project_uuid": PROJECT,
        }
        envelope.update(fields)
        body = json.dumps(envelope).encode()
        return admit(body, registry=default_registry())

    return make
