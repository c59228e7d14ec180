"""Whoever meets a damaged journal is told where the rest of the events is, and gets them back."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from desk import Desk, event_id, make_event
from remedies import commands

NEWER = range(2, 400)


def leaves(path: Path) -> list[int]:
    """Return the pages that hold the journal's rows, in order."""
    with closing(sqlite3.connect(path)) as conn:
        rows = conn.execute(
            "SELECT pageno FROM dbstat WHERE name = 'event_journal' AND pagetype = 'leaf'"
            " ORDER BY path"
        )
        return [row[0] for row in rows]


def zero(path: Path, page: int) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))


@pytest.fixture
def damaged(desk: Desk) -> Desk:
    """A journal that lost two of its pages, and `backup.db`, which has the first event only."""
    desk.put(make_event(1))
    assert desk.run("sync", "backup", str(desk.root / "backup.db")).code == 0
    desk.put(*map(make_event, NEWER))
    pages = leaves(desk.home.journal_db)
    for page in (pages[len(pages) // 3], pages[2 * len(pages) // 3]):
        zero(desk.home.journal_db, page)
    return desk


def ids(desk: Desk) -> set[str]:
    return {row[0] for row in desk.sql("SELECT event_id FROM event_journal")}


def test_restore_over_a_damaged_journal_says_what_only_the_old_file_may_hold(damaged: Desk):
    """Newer events may be in the file that was set aside: it is named, and how to read it."""
    done = damaged.run("sync", "restore", str(damaged.root / "backup.db"), "--yes")
    (aside,) = damaged.home.root.glob("journal.db.before-restore-*Z")
    assert done.code == 0
    assert "newer than the backup" in done.out
    assert commands(done.out) == [f"spec-kitty sync migrate --from {aside}"]


def test_restore_over_a_sound_journal_speaks_of_no_lost_events(desk: Desk):
    """Where everything newer was kept there is nothing to fetch."""
    desk.put(make_event(1))
    desk.run("sync", "backup", str(desk.root / "backup.db"))
    done = desk.json("sync", "restore", str(desk.root / "backup.db"), "--yes")
    assert done["damaged"] is False


@pytest.mark.parametrize("way", ["restore", "begin anew"])
def test_events_around_damaged_pages_come_back(damaged: Desk, receiver, way: str):
    """What the message names brings every event that can still be read, and says it is not all."""
    if way == "restore":
        text = damaged.run("sync", "restore", str(damaged.root / "backup.db"), "--yes").out
    else:
        damaged.run("sync", "server", receiver.url)
        refused = damaged.run("sync", "now")
        assert refused.code == 2
        text = refused.err
        for move in (each for each in commands(text) if each.startswith("mv ")):
            # The log that the message names may be gone: its last reader took it in.
            subprocess.run(shlex.split(move), check=False, stderr=subprocess.DEVNULL)
        assert not damaged.home.journal_db.exists()
    migrate = [each for each in commands(text) if " migrate " in each]
    fetched = damaged.json(*shlex.split(migrate[0])[1:], code=3)
    assert fetched["sources"][0]["outcome"] == "damaged"
    assert {event_id(2), event_id(200), event_id(399)} <= ids(damaged)
    assert len(ids(damaged)) > 350
    damaged.run("sync", "server", receiver.url)
    assert damaged.run("sync", "now").code == 0
    assert {event["event_id"] for event in receiver.events} == ids(damaged)


def test_bytes_that_changed_in_the_old_file_are_not_taken_for_an_event(desk: Desk):
    """A body that its hash does not fit is quarantined; what was removed or replaced stays away."""
    desk.put(make_event(1), make_event(2))
    desk.run("sync", "discard", event_id(2), "--reason", "holds a secret", "--yes")
    desk.sql("UPDATE event_journal SET body = CAST(replace(body, '1', '9') AS BLOB) WHERE seq = 1")
    aside = desk.home.journal_db.rename(desk.home.root / "damaged-journal.db")
    found = desk.json("sync", "migrate", "--from", str(aside), code=1)
    assert (found["imported"], found["quarantined"], found["sources"][0]["rows"]) == (0, 1, 1)


def test_doctor_says_once_what_is_damaged_and_nothing_that_nobody_could_look_at(damaged: Desk):
    """Its page claims no right counts, no events and no history of a journal that is unreadable."""
    damaged.run("sync", "server", "http://127.0.0.1:9")
    done = damaged.run("sync", "doctor")
    assert done.code == 3
    assert done.out.count("begin\n      anew") == 1, done.out
    for claim in ("counts, permissions", "0 events", "nothing was sent", "journal.db: /"):
        assert claim not in done.out, claim


def test_doctor_has_a_page_where_only_rows_behind_the_first_are_damaged(desk: Desk):
    """Damage that status does not meet is found by the doctor, and its page is whole."""
    desk.run("sync", "server", "http://127.0.0.1:9")
    desk.put(*map(make_event, range(1, 12_000)))
    zero(desk.home.journal_db, leaves(desk.home.journal_db)[1500])
    assert desk.run("sync", "status").code == 0
    done = desk.run("sync", "doctor")
    assert done.code == 3, done
    assert "last answers" in done.out
    assert "malformed" in done.out


def test_export_of_a_damaged_journal_leaves_no_half_of_a_file(damaged: Desk):
    """What ends before the damage looks like everything; nothing says where it stopped."""
    target = damaged.root / "all.jsonl"
    done = damaged.run("sync", "export", "--jsonl", str(target))
    assert done.code == 2
    assert "sync migrate --from" in done.err
    assert not target.exists()
