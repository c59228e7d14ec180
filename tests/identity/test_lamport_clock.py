"""The Lamport clock: what it counts, where it is kept, what it survives."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.identity.clock import CLOCK_LIMIT, LamportClock, StoredClock
from spec_kitty_sync.identity.node import generate_node_id
from spec_kitty_sync.sync.store import open_home


@pytest.fixture
def home(tmp_path):
    """An empty home."""
    return Home(tmp_path / "home")


@pytest.fixture
def store(home):
    """An open store."""
    with open_home(home) as opened:
        yield opened


class Journal:
    """Answers as the journal does, and remembers what it was asked."""

    def __init__(self, highest: int = 0, seq: int = 0) -> None:
        self._answer = (highest, seq)
        self.asked: list[int] = []

    def highest_clock(self, after: int = 0, *, limit: int = 0) -> tuple[int, int]:
        self.asked.append(after)
        return self._answer


def stored(
    store: Store, home: Home, *, journal: tuple[int, int] = (0, 0), wall: ManualClock | None = None
) -> StoredClock:
    """Return the home's clock, recovered."""
    clock = StoredClock(store, home.clock_json, node_id="0123456789ab", wall=wall or ManualClock())
    clock.recover(Journal(*journal))
    return clock


def copied(home: Home) -> int:
    """Return the value that other tools see."""
    return int(json.loads(home.clock_json.read_text())["value"])


@pytest.mark.parametrize("make", [lambda s, h: LamportClock(), stored], ids=["pure", "stored"])
def test_clock_counts_as_the_contract_says(make, store, home):
    """tick adds one; receive goes one past the larger of the two."""
    clock = make(store, home)
    assert [clock.tick(), clock.tick()] == [1, 2]
    assert clock.receive(10) == 11
    assert clock.receive(3) == 12
    assert clock.tick() == 13
    assert clock.value == 13


def test_tick_in_a_transaction_that_fails_never_happened(store, home):
    """The clock counts with the append, or not at all."""
    clock = stored(store, home)
    clock.tick()

    def fail() -> None:
        with store.transaction():
            assert clock.tick() == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert clock.value == 1
    assert clock.tick() == 2


@pytest.mark.parametrize(
    ("in_file", "in_journal", "next_value"), [(5, 0, 6), (0, 7, 8), (5, 7, 8), (9, 7, 10)]
)
def test_opening_takes_the_highest_of_store_file_and_journal(
    store, home, in_file, in_journal, next_value
):
    """Whoever knows the highest clock is believed, and opening writes nothing."""
    home.clock_json.write_text(json.dumps({"value": in_file, "node_id": "x"}))
    before = home.clock_json.read_bytes()
    clock = stored(store, home, journal=(in_journal, 3))
    assert home.clock_json.read_bytes() == before
    assert clock.value == next_value - 1
    assert clock.tick() == next_value
    assert stored(store, home).tick() == next_value + 1


def test_opening_reads_only_journal_rows_not_counted_yet(store, home):
    """What an earlier opening has counted is not read again."""
    clock = stored(store, home, journal=(4, 30))
    clock.tick()
    journal = Journal()
    again = StoredClock(store, home.clock_json, node_id="n", wall=ManualClock())
    again.recover(journal)
    assert journal.asked == [30]
    assert again.tick() == 6


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[1]", b'{"value": "9"}', b'{"value": true}', b'{"value": -1}', b"\xff\xfe",
     b'{"value": 9007199254740993}', b"[" * 100_000],
)  # fmt: skip
def test_damaged_copy_is_set_aside_and_reported(store, home, damage, caplog):
    """A copy that is no clock is moved away, said so, and costs nothing."""
    home.clock_json.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        clock = stored(store, home)
    assert clock.tick() == 1
    (aside,) = home.root.glob("clock.json.damaged-*")
    assert aside.read_bytes() == damage
    assert not home.clock_json.exists()
    assert "clock.json" in caplog.text


def test_copy_is_written_at_most_once_a_second_and_exactly_at_the_end(store, home):
    """Other tools see a copy that is a second old at most, and exact after the end."""
    wall = ManualClock()
    clock = stored(store, home, wall=wall)
    for _ in range(3):
        clock.tick()
        clock.copy()
    assert copied(home) == 1
    wall.advance(1.0)
    clock.tick()
    clock.copy()
    assert copied(home) == 4
    clock.tick()
    clock.close()
    assert copied(home) == 5


def test_copy_that_cannot_be_written_stops_nothing(store, home, caplog):
    """A home that refuses the copy keeps counting."""
    clock = StoredClock(store, Path("/proc/nowhere/clock.json"), node_id="n", wall=ManualClock())
    clock.recover(Journal())
    clock.tick()
    with caplog.at_level(logging.WARNING):
        clock.copy()
    assert "cannot be written" in caplog.text
    assert clock.tick() == 2


def test_noted_clock_moves_the_next_tick_and_survives_the_end(store, home):
    """A clock seen by another thread counts with the next tick, and is kept without one."""
    clock = stored(store, home)
    clock.note(40)
    assert clock.tick() == 42
    clock.note(100)
    clock.close()
    assert stored(store, home).tick() == 102


@pytest.mark.parametrize("hostile", [CLOCK_LIMIT + 1, 2**63 - 1, 2**70])
def test_absurd_remote_clock_is_not_followed(store, home, hostile):
    """Nobody can use up our numbers."""
    clock = stored(store, home)
    clock.note(hostile)
    assert clock.receive(hostile) == 1
    assert clock.tick() == 2


def test_node_id_is_stable_and_says_no_name():
    """Twelve hex digits, the same at each call."""
    assert generate_node_id() == generate_node_id()
    assert len(generate_node_id()) == 12
    assert set(generate_node_id()) <= set("0123456789abcdef")
