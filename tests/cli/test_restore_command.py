"""A restore brings back what the backup has, undoes nothing later, and mixes up nobody."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from desk import Desk, event_id, make_event
from legacy_homes import contents, event, write_queue, write_rows
from small_receiver import SmallReceiver, accept, reject
from waiting import wait_until

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._locks import is_locked
from spec_kitty_sync.delivery.lock import drain_lock
from spec_kitty_sync.delivery.soundness import find_faults
from spec_kitty_sync.errors import DrainLockedError
from spec_kitty_sync.event_journal.counting import find_miscounts
from spec_kitty_sync.sync.backup import restore
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.store import open_home

PATIENCE_S = 300
RESOLVE = ("sync", "migrate", "conflicts", "resolve")
REFUSES = reject("payload.wp_id is missing", "schema_mismatch")


def back_up(desk: Desk) -> Path:
    path = desk.root / "backup.db"
    assert desk.run("sync", "backup", str(path)).code == 0
    return path


def bring_back(desk: Desk, path: Path) -> str:
    """Restore the backup at *path* and return what is said of it; the result must be sound."""
    done = desk.run("sync", "restore", str(path), "--yes")
    assert done.code == 0, done
    check_sound(desk)
    return done.out


def check_sound(desk: Desk) -> None:
    with open_home(desk.home) as store:
        assert find_faults(store) + find_miscounts(store) == []


def serve(desk: Desk, *servers: SmallReceiver) -> None:
    """Deliver to each of *servers* in turn."""
    for server in servers:
        desk.run("sync", "server", server.url)
        desk.run("sync", "now")


def targets(desk: Desk) -> list[tuple[int, str]]:
    return desk.sql("SELECT target_id, url FROM delivery_targets ORDER BY target_id")


def told(desk: Desk, server: SmallReceiver) -> set[str]:
    """Return the ids that the ledger says *server* has taken."""
    rows = desk.sql(
        "SELECT j.event_id FROM delivery_ledger l JOIN event_journal j USING (seq)"
        " JOIN delivery_targets t USING (target_id) WHERE l.state = 'delivered' AND t.url = ?",
        server.url,
    )
    return {row[0] for row in rows}


def got(server: SmallReceiver) -> list[str]:
    return [each["event_id"] for each in server.events]


@pytest.fixture
def other():
    with SmallReceiver() as running:
        yield running


@pytest.fixture
def third():
    with SmallReceiver() as running:
        yield running


# Deliveries meanwhile


@pytest.mark.parametrize("damaged", [False, True])
def test_restore_is_refused_while_any_drain_runs(desk, damaged):
    """A drain holds a restore up, also one to a target that the database cannot name."""
    desk.put(make_event(1))
    backup = back_up(desk)
    if damaged:
        desk.home.journal_db.write_bytes(b"not a database" * 100)
    before = desk.home.journal_db.read_bytes()
    refused = pytest.raises(DrainLockedError)
    with drain_lock(desk.home.locks_dir, 7, clock=SystemClock()), refused:
        restore(desk.home, backup, lock_wait_s=0)
    assert desk.home.journal_db.read_bytes() == before
    assert not list(desk.home.root.glob("*before-restore*"))


def test_drain_that_begins_during_a_restore_waits_for_it(desk, receiver, other, third):
    """A target that is new while a restore waits keeps its number, and what it was told."""
    desk.put(make_event(1))
    serve(desk, receiver)
    backup = back_up(desk)
    desk.put(make_event(2), make_event(3))
    settings = Settings(desk.home, {}, desk.root)
    receiver.arrived.clear()
    receiver.go_on.clear()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(drain_home, settings, lock_wait_s=PATIENCE_S)
        assert receiver.arrived.wait(120)
        restoring = pool.submit(restore, desk.home, backup, lock_wait_s=PATIENCE_S)
        wait_until(lambda: is_locked(desk.home.locks_dir / "restore.lock"))
        desk.run("sync", "server", other.url)
        second = pool.submit(drain_home, settings, lock_wait_s=PATIENCE_S)
        wait_until(lambda: (desk.home.locks_dir / "drain-2.lock").exists())
        assert other.events == []
        receiver.go_on.set()
        assert first.result().delivered == 2
        assert restoring.result().carried_over == 2
        assert second.result().delivered == 3
    check_sound(desk)
    serve(desk, third)
    assert targets(desk) == [(1, receiver.url), (2, other.url), (3, third.url)]
    assert told(desk, other) == set(got(other)) == told(desk, third) == set(got(third))


def unlocked_restore(desk: Desk, backup: Path) -> Callable[[dict], dict]:
    """Return a judge that takes an event and swaps the database behind the drain that sent it."""

    def judge(sent: dict) -> dict:
        for path in desk.home.locks_dir.glob("drain-*.lock"):
            path.unlink()
        restore(desk.home, backup, lock_wait_s=0)
        return accept(sent)

    return judge


@pytest.mark.parametrize("whose", ["own", "foreign"])
def test_drain_across_a_swapped_database_records_nothing(desk, receiver, other, tmp_path, whose):
    """Where the database changes under a drain all the same, no answer is written for anybody."""
    desk.put(make_event(1))
    if whose == "foreign":
        elsewhere = Desk(tmp_path / "elsewhere")
        elsewhere.put(make_event(1))
        serve(elsewhere, other)
        backup = back_up(elsewhere)
        desk.run("sync", "server", receiver.url)
    else:
        serve(desk, receiver)
        backup = back_up(desk)
        desk.put(make_event(2))
    receiver.judge = unlocked_restore(desk, backup)
    done = desk.json("sync", "now", code=1)
    assert done["error"]["code"] == "target_changed"
    assert "sync now" in done["error"]["remedy"]
    latest = "SELECT count(*) FROM delivery_ledger JOIN delivery_targets USING (target_id, epoch)"
    assert desk.sql(latest) == [(0,)]
    check_sound(desk)
    receiver.judge = accept
    assert desk.run("sync", "now").code == 0
    assert told(desk, receiver) == {
        row[0] for row in desk.sql("SELECT event_id FROM event_journal")
    }


def test_target_newer_than_the_backup_stays_known(desk, receiver, other, third):
    """No target's number is given out again, and what was decided about one stays so."""
    desk.put(make_event(1))
    serve(desk, receiver)
    backup = back_up(desk)
    serve(desk, other)
    desk.run("sync", "targets", "retire", "1")
    bring_back(desk, backup)
    serve(desk, third)
    assert targets(desk) == [(1, receiver.url), (2, other.url), (3, third.url)]
    retired = desk.sql("SELECT target_id FROM delivery_targets WHERE retired_at IS NOT NULL")
    assert retired == [(1,)]
    assert desk.sql("SELECT action FROM delivery_audit WHERE action = 'retire'") == [("retire",)]


def test_epoch_is_never_given_out_again(desk, receiver):
    """Each restore of one backup begins epochs that nobody has seen before."""
    desk.put(make_event(1))
    serve(desk, receiver)
    backup = back_up(desk)
    seen = []
    for _ in range(3):
        bring_back(desk, backup)
        seen += desk.sql("SELECT epoch FROM delivery_targets")
        desk.run("sync", "now")
    assert seen == [(2,), (3,), (4,)]


# Corrections


@pytest.fixture
def corrected(desk, receiver):
    """A backup of two rejected events; since then one was replaced, the other discarded."""
    desk.put(make_event(1), make_event(2))
    receiver.judge = REFUSES
    serve(desk, receiver)
    backup = back_up(desk)
    mended = desk.root / "mended.json"
    mended.write_text(json.dumps(make_event(1, aggregate_id="WP77")))
    desk.run("sync", "replace", event_id(1), "--file", str(mended))
    desk.run("sync", "discard", event_id(2), "--reason", "holds a secret", "--yes")
    receiver.judge = accept
    receiver.events.clear()
    return backup


def test_restore_keeps_corrections(desk, receiver, corrected):
    """What was replaced since the backup stays replaced, what was discarded does not come back."""
    audit = "SELECT action, reason, old_body FROM event_journal_audit ORDER BY id"
    before = desk.sql(audit)
    said = bring_back(desk, corrected)
    assert "1 event replaced since the backup" in said
    assert "1 event discarded since the backup" in said
    assert desk.sql(audit) == before
    assert desk.run("sync", "now").code == 0
    assert receiver.events == [make_event(1, aggregate_id="WP77")]
    bodies = desk.sql("SELECT body IS NULL, removed FROM event_journal WHERE seq = 2")
    assert bodies == [(1, "discarded")]


def test_replaced_bytes_do_not_come_back_after_gc(desk, receiver, corrected):
    """The bytes that a correction replaced stay away, also where the new ones were collected."""
    desk.run("sync", "now")
    desk.run("sync", "gc", "--yes")
    receiver.events.clear()
    bring_back(desk, corrected)
    desk.run("sync", "now")
    assert receiver.events == []


# What else is newer


def test_ids_of_collected_events_stay_taken(desk, receiver):
    """An event that was delivered and collected since the backup is not taken in once more."""
    desk.put(make_event(1))
    serve(desk, receiver)
    backup = back_up(desk)
    desk.put(make_event(2))
    desk.run("sync", "now")
    desk.run("sync", "gc", "--yes")
    bring_back(desk, backup)
    receiver.events.clear()
    desk.put(make_event(2))
    desk.run("sync", "now")
    assert got(receiver) == [event_id(1)]
    removed = "SELECT removed FROM event_journal WHERE event_id = ?"
    assert desk.sql(removed, event_id(2)) == [("collected",)]


def test_restore_keeps_what_migrations_found(desk):
    """Rows in conflict or quarantine keep their bytes, and what they hold up stays held."""
    first, second = event(1), event(2)
    desk.put(first, second)
    backup = back_up(desk)
    write_queue(desk.home.root / "queue.db", [event(1, aggregate_id="WP09"), event(3)])
    write_rows(desk.home.root / "queues" / "queue-0123456789abcdef.db", [("x", '{"cut sho')])
    desk.run("sync", "migrate")
    before = contents(desk.home.root)
    assert before["conflicts"]
    assert before["quarantine"]
    bring_back(desk, backup)
    assert contents(desk.home.root) == before


def test_decision_about_a_conflict_stays(desk):
    """A conflict that was settled since the backup is settled after it, and nothing is held."""
    desk.put(event(1))
    write_queue(desk.home.root / "queue.db", [event(1, aggregate_id="WP09")])
    desk.run("sync", "migrate")
    backup = back_up(desk)
    held = "SELECT count(*) FROM event_journal WHERE hold IS NOT NULL"
    assert desk.sql(held) == [(1,)]
    (conflict,) = desk.sql("SELECT event_id FROM migration_conflict")[0]
    desk.run(*RESOLVE, conflict, "--keep", "journal", "--reason", "x")
    assert desk.sql(held) == [(0,)]
    before = contents(desk.home.root)
    bring_back(desk, backup)
    assert contents(desk.home.root) == before


def test_mission_under_way_keeps_its_correlation(desk):
    """The execution that began since the backup goes on under the same correlation id."""
    desk.put(make_event(1))
    backup = back_up(desk)
    with closing(sqlite3.connect(desk.home.journal_db)) as conn, conn:
        conn.execute(
            "INSERT INTO sync_correlation (project, mission, correlation_id) VALUES ('p', 'm', 'c')"
        )
    bring_back(desk, backup)
    assert desk.sql("SELECT project, mission, correlation_id FROM sync_correlation") == [
        ("p", "m", "c")
    ]
