"""The oracle of the fault tests sees what it is there to see."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from oracle import drain, examine, journal_of, make_event
from recorded_wire import RecordedWire

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.store import open_home

EVENTS = [make_event(number) for number in range(6)]
ACKNOWLEDGED = {event.event_id: event.body for event in EVENTS}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Six events, of which the first four were delivered."""
    home = Home(tmp_path / "sk")
    with open_home(home) as store:
        journal = journal_of(store, ManualClock())
        journal.append_many(EVENTS[:4])
        drain(store, home, RecordedWire(tmp_path / "wire"))
        journal.append_many(EVENTS[4:])
    return home


@pytest.fixture
def wire(tmp_path: Path) -> RecordedWire:
    return RecordedWire(tmp_path / "wire")


def spoil(home: Home, statement: str) -> None:
    with closing(sqlite3.connect(home.journal_db)) as conn, conn:
        assert conn.execute(statement).rowcount > 0


def test_oracle_passes_a_home_that_kept_its_promises(home, wire):
    """An unharmed home passes, and only what was not delivered is sent."""
    found = examine(home, ACKNOWLEDGED, wire)
    assert (found.stored, found.delivered, found.sent_again) == (6, 4, 2)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("DELETE FROM event_journal WHERE seq = 6", "lost"),
        ("UPDATE event_journal SET body = x'7b7d' WHERE seq = 6", "bytes and hash differ"),
        ("UPDATE delivery_ledger SET state = 'open' WHERE seq = 2", "not sound"),
        ("DELETE FROM delivery_ledger WHERE seq = 2", "not sound"),
        ("UPDATE delivery_epochs SET mark = 6", "not sound"),
    ],
)
def test_oracle_sees_harm(home, wire, harm, words):
    """A lost event, other bytes, a forgotten delivery or a mark too far each fail the oracle."""
    spoil(home, harm)
    with pytest.raises(AssertionError, match=words):
        examine(home, ACKNOWLEDGED, wire)


def test_oracle_sees_a_delivery_that_no_answer_confirmed(home, wire, tmp_path):
    """`delivered` in the ledger without a success on the wire fails the oracle."""
    (tmp_path / "wire").unlink()
    with pytest.raises(AssertionError, match="no answer said so"):
        examine(home, ACKNOWLEDGED, wire)
