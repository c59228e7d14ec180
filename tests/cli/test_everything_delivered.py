"""The words "everything delivered" are true, and bytes go only where nobody needs them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from desk import Desk, event_id, make_event
from small_receiver import SmallReceiver, accept, reject

from spec_kitty_sync import api
from spec_kitty_sync.sync.config import Settings

ALL = "Everything delivered"
LOGIN = ("--username", "ada", "--password-env", "SK_PASSWORD")


@pytest.fixture
def other() -> SmallReceiver:
    with SmallReceiver() as running:
        yield running


@pytest.fixture
def delivered(desk: Desk, receiver: SmallReceiver) -> Desk:
    """A desk whose three events the first server has."""
    desk.put(*(make_event(number) for number in range(1, 4)))
    desk.run("sync", "server", receiver.url)
    assert ALL in desk.run("sync", "now").out
    return desk


def settings(desk: Desk, **environ: str) -> Settings:
    return Settings(desk.home, environ, desk.root)


def kept(desk: Desk) -> int:
    return desk.sql("SELECT count(*) FROM event_journal WHERE body IS NOT NULL")[0][0]


# bytes that a chosen server still lacks


def test_gc_waits_for_a_server_from_the_moment_it_is_chosen(delivered: Desk, other: SmallReceiver):
    """Nothing was sent to the new server yet: gc and archive take nothing, and say for whom."""
    delivered.run("sync", "server", other.url)
    said = delivered.run("sync", "gc", "--yes").out
    assert f"gc waits for {other.url}, which has nothing yet" in said
    assert "`spec-kitty sync now`" in said
    archive = delivered.root / "events.jsonl.gz"
    delivered.run("sync", "archive", str(archive), "--yes")
    assert kept(delivered) == 3
    assert delivered.run("sync", "now").code == 0
    assert len(other.events) == 3
    delivered.run("sync", "gc", "--yes")
    assert kept(delivered) == 0


def test_removal_itself_knows_the_chosen_server(delivered: Desk, other: SmallReceiver):
    """Whoever chooses a server between preview and removal keeps the events for it."""
    delivered.run("sync", "server", other.url)
    assert api.gc(settings(delivered), dry_run=False).events == 0
    assert kept(delivered) == 3


def test_gc_waits_for_both_servers_of_a_conflict(delivered: Desk, other: SmallReceiver):
    """While configuration and environment name different servers, both are to get the events."""
    result = api.gc(settings(delivered, SPEC_KITTY_SAAS_URL=other.url), dry_run=False)
    assert (result.events, kept(delivered)) == (0, 3)


def test_gc_waits_for_the_target_of_the_next_login(delivered: Desk, receiver: SmallReceiver):
    """Another user's target lacks what was delivered without a login; logging out needs nothing."""
    delivered.environ["SK_PASSWORD"] = "lovelace"
    delivered.run("auth", "login", *LOGIN)
    delivered.run("sync", "gc", "--yes")
    assert kept(delivered) == 3
    delivered.run("sync", "now")
    delivered.run("auth", "logout")
    delivered.run("sync", "gc", "--yes")
    assert kept(delivered) == 0


def test_dead_events_stay_for_a_server_that_may_take_them(
    desk: Desk, receiver: SmallReceiver, other: SmallReceiver
):
    """What one server refused for good is kept for the next, until that has its say."""
    receiver.judge = reject("no", "schema_mismatch", status="failed_permanent")
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    desk.run("sync", "now")
    desk.run("sync", "server", other.url)
    assert api.gc(settings(desk), ("dead",), dry_run=False).events == 0
    desk.run("sync", "now")
    assert len(other.events) == 1


# what keeps the words from being true


def test_events_that_were_removed_before_this_target_had_them_are_counted(
    delivered: Desk, other: SmallReceiver
):
    """A server chosen after gc is told nothing, and the operator that it lacks something."""
    delivered.run("sync", "gc", "--yes")
    delivered.run("sync", "server", other.url)
    for said in (delivered.run("sync", "now"), delivered.run("sync", "status")):
        assert said.code == 0
        assert "3 removed by gc or archive before this target had them" in said.out
        assert ALL not in said.out


@pytest.mark.parametrize("reason", ["--local-only", "--superseded"])
def test_what_was_removed_by_choice_is_not_missed(delivered: Desk, reason: str):
    """Events that no target was ever to get leave "everything delivered" true."""
    delivered.put(make_event(4, data_tier=0))
    delivered.run("sync", "gc", reason, "--yes")
    assert ALL in delivered.run("sync", "now").out


def test_discarded_events_are_not_missed(desk: Desk, receiver: SmallReceiver):
    """What the operator gave up is not counted as missing."""
    desk.put(make_event(1), make_event(2))
    desk.run("sync", "discard", event_id(1), "--reason", "mistake", "--yes")
    desk.run("sync", "server", receiver.url)
    assert ALL in desk.run("sync", "now").out


@pytest.mark.parametrize("content", [b"SQLite format 3\0garbage", None], ids=["damaged", "nowhere"])
def test_queue_that_cannot_be_read_keeps_it_from_being_all(delivered: Desk, content):
    """An old queue that nobody can read may hold events: nobody says that all is delivered."""
    queue = delivered.home.queue_db
    if content is None:
        queue.symlink_to(delivered.root / "not-mounted.db")
    else:
        queue.write_bytes(content)
    done = delivered.run("sync", "now")
    assert (done.code, ALL in done.out, "queue.db" in done.out) == (1, False, True)
    status = delivered.run("sync", "status").out
    assert "1 old queue that cannot be read" in status
    assert ALL not in status


def test_rows_in_quarantine_keep_it_from_being_all(delivered: Desk):
    """Rows that could not become events are somebody's to decide; then it is all."""
    _truncated_row(delivered.home.queue_db)
    assert delivered.run("sync", "migrate").code == 1
    done = delivered.run("sync", "now")
    assert (done.code, ALL in done.out) == (1, False)
    assert "migrate quarantine list" in done.out
    assert "1 in quarantine" in delivered.run("sync", "status").out


def _truncated_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "CREATE TABLE queue (id INTEGER PRIMARY KEY, event_id TEXT, event_type TEXT,"
            " data TEXT, timestamp INTEGER, retry_count INTEGER)"
        )
        row = (event_id(77), "HistoryAdded", '{"event_id": "01K', 0, 0)
        conn.execute(
            "INSERT INTO queue(event_id, event_type, data, timestamp, retry_count)"
            " VALUES (?, ?, ?, ?, ?)",
            row,
        )


def test_code_stays_1_while_events_that_failed_wait_for_another_attempt(
    desk: Desk, receiver: SmallReceiver
):
    """A run that has nothing due yet is no success: `until sync now` goes on."""
    receiver.judge = reject("busy", "server_error", status="failed_transient")
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    assert [desk.run("sync", "now").code for _ in range(2)] == [1, 1]
    receiver.judge = accept
    desk.run("sync", "retry", event_id(1))
    assert desk.run("sync", "now").code == 0


# a retired target is a gate like the others


def test_retired_target_is_told_everywhere_until_it_is_restored(
    delivered: Desk, receiver: SmallReceiver
):
    """Status, preview and delivery agree on what is in the way and what opens it."""
    delivered.put(make_event(4))
    delivered.run("sync", "targets", "retire", "1")
    report = delivered.json("sync", "status", "--check", code=3)
    (told,) = report["attention"]
    assert "is retired" in told["message"]
    assert "`spec-kitty sync targets restore 1`" in told["remedy"]
    assert "is retired" in report["summary"]
    for arguments in (("--dry-run",), ()):
        refused = delivered.run("sync", "now", *arguments)
        assert refused.code == 2
        assert "targets restore 1" in refused.err
    delivered.run("sync", "targets", "restore", "1")
    assert ALL in delivered.run("sync", "now").out
    assert len(receiver.events) == 4


def test_retired_target_is_told_before_an_event_waits(delivered: Desk):
    """`sync now` would refuse: the report says so, whether anything waits or not."""
    delivered.run("sync", "targets", "retire", "1")
    (told,) = delivered.json("sync", "status", "--check", code=3)["attention"]
    assert "is retired" in told["message"]


@pytest.mark.parametrize("command", [("gc",), ("gc", "--dry-run"), ("archive", "a.gz")])
def test_nothing_goes_while_the_server_may_have_lost_it(
    delivered: Desk, receiver: SmallReceiver, command: tuple[str, ...]
):
    """Ours are the last copies: gc and archive refuse until somebody decides, and say how."""
    receiver.says_of_itself = {"server_instance_id": "first"}
    delivered.put(make_event(4))
    delivered.run("sync", "now")
    receiver.says_of_itself = {"server_instance_id": "second"}
    delivered.run("sync", "now")
    refused = delivered.run("sync", *command, *(() if "--dry-run" in command else ("--yes",)))
    assert refused.code == 2
    assert "`spec-kitty sync now --redeliver --target 1`" in refused.err
    assert kept(delivered) == 4
    delivered.run("sync", "targets", "confirm", "1")
    assert delivered.run("sync", "gc", "--yes").code == 0
    assert kept(delivered) == 0


def test_empty_files_in_the_place_of_old_queues_hold_up_nothing(delivered: Desk):
    """A file of 0 bytes holds no event: nothing asks for attention, and the words stay true."""
    folder = delivered.home.root / "queues"
    folder.mkdir()
    (delivered.home.root / "queue.db").touch()
    (folder / "queue-0123456789abcdef.db").touch()
    for command in (("sync", "now"), ("sync", "status", "--check"), ("diagnose",)):
        done = delivered.run(*command)
        assert done.code == 0, done
    assert ALL in delivered.run("sync", "now").out
    migrated = delivered.json("sync", "migrate")
    assert [each["outcome"] for each in migrated["sources"]] == ["empty", "empty"]


@pytest.mark.parametrize("beside", ["-wal", "-journal"])
def test_empty_file_with_a_log_beside_it_is_not_taken_for_nothing(delivered: Desk, beside: str):
    """What a queue's log holds may be events: everything is not delivered while nobody read it."""
    queue = delivered.home.root / "queue.db"
    queue.touch()
    queue.with_name(queue.name + beside).write_bytes(b"a log of some kind" * 100)
    done = delivered.run("sync", "now")
    assert done.code == 1
    assert ALL not in done.out


def test_archive_says_what_it_is_about_to_do_in_its_own_name(delivered: Desk, other: SmallReceiver):
    """Before it asks, archive speaks of archive, and names no command that would remove more."""
    delivered.run("sync", "server", other.url)
    said = delivered.run("sync", "archive", str(delivered.root / "a.jsonl.gz")).err
    assert f"archive waits for {other.url}" in said
    assert "gc" not in said


def test_import_of_an_archive_says_that_it_brings_no_bytes_back_and_what_does(
    delivered: Desk, other: SmallReceiver, tmp_path: Path
):
    """Known events stay without bytes; in a new home the same file is delivered to anybody."""
    archive = delivered.root / "events.jsonl.gz"
    delivered.run("sync", "archive", str(archive), "--yes")
    notes = " ".join(delivered.json("sync", "migrate", "--from", str(archive))["notes"])
    assert "3 events of the named files are known here without bytes" in notes
    assert "`spec-kitty sync migrate --home DIR --from FILE`" in notes
    assert kept(delivered) == 0
    fresh = Desk(tmp_path / "fresh")
    fresh.run("sync", "migrate", "--from", str(archive))
    fresh.run("sync", "server", other.url)
    assert ALL in fresh.run("sync", "now").out
    assert len(other.events) == 3
