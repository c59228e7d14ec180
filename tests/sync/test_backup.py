"""Backup and restore: nothing newer is lost, nothing given out is given out again."""

from __future__ import annotations

import json
import sqlite3
import stat
import sys
from pathlib import Path
from types import FrameType

import pytest
from ulid import ULID

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.errors import (
    DrainLockedError,
    SourceError,
    StoreCorruptError,
    StoreVersionError,
    UsageError,
)
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import Admitted, admit
from spec_kitty_sync.events.registry import Registry, default_registry
from spec_kitty_sync.identity.clock import StoredClock
from spec_kitty_sync.sync.backup import back_up, restore
from spec_kitty_sync.sync.store import open_home


def event(number: int) -> Admitted:
    body = {
        "event_id": str(ULID()),
        "event_type": "HistoryAdded",
        "aggregate_id": "WP01",
        "aggregate_type": "WorkPackage",
        "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": f"note {number}"},
        "timestamp": "2026-02-12T10:00:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": number,
        "project_uuid": "550e8400-e29b-41d4-a716-446655440000",
    }
    return admit(json.dumps(body).encode(), registry=default_registry())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "sk")


def fill(home: Home, count: int) -> list[str]:
    """Append *count* events, ticking the clock for each; return all ids in order."""
    with open_home(home) as store:
        journal = SqliteJournal(store, clock=ManualClock())
        clock = StoredClock(store, home.clock_json, node_id="a1b2c3d4e5f6", wall=ManualClock())
        for _ in range(count):
            with store.transaction():
                journal.append(event(clock.tick()))
        return [record.event_id for record in journal.read()]


def look(home: Home) -> tuple[list[tuple[int, str]], int]:
    """Return (seq, id) of every row, and the clock."""
    with open_home(home) as store:
        rows = store.conn.execute("SELECT seq, event_id FROM event_journal ORDER BY seq")
        return rows.fetchall(), store.conn.execute("SELECT value FROM identity_clock").fetchone()[0]


def test_backup_is_one_private_file_with_every_event(home, tmp_path):
    """A backup holds every event, is 0600, and needs no file beside it."""
    fill(home, 5)
    report = back_up(home, tmp_path / "b.db")
    assert (report.events, report.size) == (5, (tmp_path / "b.db").stat().st_size)
    assert stat.S_IMODE((tmp_path / "b.db").stat().st_mode) == 0o600
    assert not list(tmp_path.glob("b.db-*"))


def test_backup_never_overwrites(home, tmp_path):
    """An existing file is left alone."""
    fill(home, 1)
    (tmp_path / "b.db").write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        back_up(home, tmp_path / "b.db")
    assert (tmp_path / "b.db").read_text() == "precious"


def test_restore_keeps_what_is_newer_than_the_backup(home, tmp_path):
    """Events appended after the backup are still there after restoring it, behind the old ones."""
    fill(home, 3)
    back_up(home, tmp_path / "b.db")
    ids = fill(home, 2)
    report = restore(home, tmp_path / "b.db", clock=ManualClock())
    rows, _ = look(home)
    assert [event_id for _, event_id in rows] == ids
    assert (report.events, report.carried_over) == (3, 2)


def test_restore_gives_out_no_number_twice(home, tmp_path):
    """Sequence numbers and clock values after a restore are above all that were ever given out."""
    fill(home, 3)
    back_up(home, tmp_path / "b.db")
    fill(home, 4)
    before, clock_before = look(home)
    restore(home, tmp_path / "b.db", clock=ManualClock())
    fill(home, 1)
    after, clock_after = look(home)
    assert clock_after > clock_before
    assert min(seq for seq, _ in after[3:]) > max(seq for seq, _ in before)


def test_restore_starts_a_new_epoch_for_every_target(home, tmp_path):
    """After a restore nobody is taken to know anything: each target begins again."""
    fill(home, 1)
    with open_home(home) as store:
        registry = TargetRegistry(store, clock=ManualClock())
        one = registry.ensure("https://a.example.invalid")
    back_up(home, tmp_path / "b.db")
    restore(home, tmp_path / "b.db", clock=ManualClock())
    with open_home(home) as store:
        after = TargetRegistry(store, clock=ManualClock()).get(one.target_id)
    assert (after.epoch, after.mark) == (one.epoch + 1, 0)


def test_restore_sets_the_present_database_aside(home, tmp_path):
    """The database as it was before is kept beside the new one."""
    fill(home, 2)
    back_up(home, tmp_path / "b.db")
    fill(home, 1)
    report = restore(home, tmp_path / "b.db", clock=ManualClock())
    conn = sqlite3.connect(report.set_aside)
    assert conn.execute("SELECT count(*) FROM event_journal").fetchone() == (3,)
    conn.close()


def test_restore_over_a_destroyed_database(home, tmp_path):
    """Where the present file is no database any more, the backup takes its place all the same."""
    ids = fill(home, 3)
    back_up(home, tmp_path / "b.db")
    for part in home.root.glob("journal.db*"):
        part.write_bytes(b"not a database" * 100)
    report = restore(home, tmp_path / "b.db", clock=ManualClock())
    rows, clock = look(home)
    assert [event_id for _, event_id in rows] == ids
    assert report.set_aside.read_bytes().startswith(b"not a database")
    assert clock > 3
    fill(home, 1)
    assert look(home)[0][-1][0] > 1000


def test_restore_into_an_empty_home(home, tmp_path):
    """A backup brings a home to life on another machine."""
    ids = fill(home, 2)
    back_up(home, tmp_path / "b.db")
    other = Home(tmp_path / "other")
    assert restore(other, tmp_path / "b.db", clock=ManualClock()).set_aside is None
    assert [event_id for _, event_id in look(other)[0]] == ids


def test_a_reader_that_was_open_sees_the_restored_state(home, tmp_path):
    """A process that has the database open reads the restored rows, not a mixture."""
    fill(home, 1)
    back_up(home, tmp_path / "b.db")
    with open_home(home) as other:
        other.conn.execute("SELECT count(*) FROM event_journal").fetchone()
        fill(home, 2)
        restore(home, tmp_path / "b.db", clock=ManualClock())
        assert other.conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert other.conn.execute("SELECT count(*) FROM event_journal").fetchone() == (3,)


@pytest.mark.parametrize("damage", ["truncate", "flip", "text", "foreign", "missing"])
def test_restore_refuses_what_is_no_sound_backup(home, tmp_path, damage):
    """A damaged, foreign or missing file is refused by name and the home stays as it is."""
    fill(home, 40)
    source = tmp_path / "b.db"
    back_up(home, source)
    before = look(home)
    if damage == "truncate":
        source.write_bytes(source.read_bytes()[:-5000])
    elif damage == "flip":
        data = bytearray(source.read_bytes())
        where = data.index(b"note 17")
        data[where] ^= 1
        source.write_bytes(data)
    elif damage == "text":
        source.write_text("hello")
    elif damage == "foreign":
        source.unlink()
        with sqlite3.connect(source) as conn:
            conn.execute("CREATE TABLE x (y)")
        conn.close()
    else:
        source.unlink()
    with pytest.raises((StoreCorruptError, StoreVersionError, SourceError), match=r"b\.db"):
        restore(home, source, clock=ManualClock())
    assert look(home) == before


def test_restore_waits_for_no_running_drain(home, tmp_path):
    """While a delivery runs, a restore is refused and changes nothing."""
    from spec_kitty_sync.delivery.lock import drain_lock

    fill(home, 1)
    with open_home(home) as store:
        target = TargetRegistry(store, clock=ManualClock()).ensure("https://a.example.invalid")
    back_up(home, tmp_path / "b.db")
    before = look(home)
    with (
        drain_lock(home.locks_dir, target.target_id, clock=ManualClock()),
        pytest.raises(DrainLockedError),
    ):
        restore(home, tmp_path / "b.db", clock=ManualClock(), lock_wait_s=0)
    assert look(home) == before


def test_restore_keeps_what_was_decided_about_newer_events(home, tmp_path):
    """Tier, hold and supersession of events that the backup lacks are those of their rows.

    What an import made local-only, or a conflict held, is not sent because of a restore; what was
    delivered is not superseded by it.
    """
    fill(home, 1)
    back_up(home, tmp_path / "b.db")
    registry = default_registry()
    plain, told, older, newer = event(2), event(3), event(4), event(5)
    with open_home(home) as store:
        facts = SqliteDeliveryFacts(store)
        journal = SqliteJournal(store, clock=ManualClock(), delivery=facts)
        journal.append(plain._replace(tier=0))
        journal.append(event(6)._replace(hold="migration_conflict", hold_detail="two"))
        told, older, newer = (snapshot(each, registry) for each in (told, older, newer))
        seq = journal.append(told).seq
        target = TargetRegistry(store, clock=ManualClock()).ensure("https://a.example.invalid")
        with store.transaction() as conn:
            conn.execute(
                "INSERT INTO delivery_ledger (target_id, epoch, seq, state, claimed)"
                " VALUES (?, 1, ?, 'delivered', 1)",
                (target.target_id, seq),
            )
        journal.append(older)
        journal.append(newer)
        before = decided(journal)
    assert [row[3] for row in before.values()] == [False, False, False, False, True, False]
    assert restore(home, tmp_path / "b.db", clock=ManualClock()).carried_over == 5
    with open_home(home) as store:
        assert decided(SqliteJournal(store, clock=ManualClock())) == before


def snapshot(made: Admitted, registry: Registry) -> Admitted:
    """Return an event of a type that coalesces."""
    body = json.loads(made.body)
    payload = {"mission_slug": "001-a", "project_uuid": body["project_uuid"]}
    body.update(event_type="MissionDossierSnapshotComputed", payload=payload)
    return admit(json.dumps(body).encode(), registry=registry)


def decided(journal: SqliteJournal) -> dict[str, tuple[int, str | None, str | None, bool]]:
    return {
        row.event_id: (row.tier, row.hold, row.hold_detail, row.superseded_by is not None)
        for row in journal.read()
    }


@pytest.mark.parametrize("wreck", [b"", b"not a database" * 99])
def test_restore_keeps_a_journal_that_begins_meanwhile(home, tmp_path, wreck):
    """Without a journal that can be read, nobody is kept from beginning a new one."""
    old = fill(home, 2)
    back_up(home, tmp_path / "b.db")
    other = Home(tmp_path / "other")
    if wreck:
        other.ensure().journal_db.write_bytes(wreck)
    new: list[str] = []

    def watch(frame: FrameType, event: str, arg: object) -> None:
        """Capture an event as soon as the restore prepares the new state."""
        if not new and list(other.root.glob("*.restoring")):
            new.extend(fill(other, 1))

    sys.setprofile(watch)
    try:
        report = restore(other, tmp_path / "b.db", clock=ManualClock())
    finally:
        sys.setprofile(None)
    assert {event_id for _, event_id in look(other)[0]} == {*old, *new}
    assert (len(new), report.carried_over) == (1, 1)
    assert (report.set_aside is None) == (not wreck)
