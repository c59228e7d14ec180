"""When boards are computed, and when those of before will do."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from browser import mission
from receiver_server import PROJECT

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync.receiver.board_cache import BoardCache
from spec_kitty_sync.receiver.decide import NewEvent
from spec_kitty_sync.receiver.overview import Overview
from spec_kitty_sync.receiver.sqlite_store import SqliteEventStore


class Slow(SqliteEventStore):
    """A store that counts how often boards were read, and takes its time."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        super().__init__(path)
        self.clock = clock
        self.reads = 0
        self.takes_s = 0.0

    def bodies_of_types(
        self, scope: str, event_types: Collection[str], *, project_uuid: str | None
    ) -> list[bytes]:
        self.reads += 1
        self.clock.advance(self.takes_s)
        return super().bodies_of_types(scope, event_types, project_uuid=project_uuid)

    def create(self, start: int) -> None:
        """Store an event that adds a mission."""
        for fields in mission(start, f"{start:03}-x", ["t"]):
            body = json.dumps(fields).encode()
            event = NewEvent("", fields["event_id"], "WPCreated", PROJECT, body, 0)
            self.add([[event]], now_ms=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Slow]:
    """An open store on a clock of the test's."""
    opened = Slow(tmp_path / "r.db", ManualClock())
    opened.open()
    yield opened
    opened.close()


def test_boards_are_computed_once_until_their_project_changes(store: Slow) -> None:
    """Looking again costs nothing; a new event is on the next board."""
    cache = BoardCache(store, Overview(store), store.clock)
    store.create(1)
    for _ in range(3):
        assert len(cache.of_project("", PROJECT)) == 1
    assert store.reads == 1
    store.create(2)
    assert len(cache.of_project("", PROJECT)) == 2
    assert len(cache.of_all("")) == 2
    assert store.reads == 2


def test_boards_that_take_long_rest_before_they_are_made_anew(store: Slow) -> None:
    """A project whose boards take 2 s and that never stops changing costs a sixth of the time."""
    cache = BoardCache(store, Overview(store), store.clock)
    store.takes_s = 2.0
    store.create(1)
    assert len(cache.of_project("", PROJECT)) == 1
    store.create(2)
    store.clock.advance(9.9)
    assert len(cache.of_project("", PROJECT)) == 1
    store.clock.advance(0.2)
    assert len(cache.of_project("", PROJECT)) == 2
    cache.forget()
    assert len(cache.of_project("", PROJECT)) == 2
    assert store.reads == 3
