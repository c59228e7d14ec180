"""`sync status`: every number is right, every complaint names its way out, nothing is written."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest
from canary import CANARY
from desk import Desk, event_id, make_event
from small_receiver import SmallReceiver, reject
from unprivileged import unprivileged

from spec_kitty_sync.api.schemas import schema_files
from spec_kitty_sync.sync.status_schema import FILE_NAME, status_schema

ROOT = Path(__file__).parents[2]
HOUR_MS = 3_600_000
SECTIONS = {
    "target_authority": {
        "configured_server_url", "env_server_url", "override_mode", "resolved_server_url",
        "user_id", "team_slug", "derived_queue_scope", "queue_db_path",
        "active_queue_scope_status",
    },
    "event_journal": {
        "retained_event_count", "archived_event_count", "local_only_count",
        "oldest_retained_event_at", "journal_size_bytes", "gc_suggested", "gc_suggestion",
    },
    "delivery_targets": {"current", "previous"},
    "delivery_ledger": {
        "delivered_current_target", "delivered_previous_target", "pending", "rejected",
        "transient", "dead_letter",
    },
    "terminal_failures": {"count", "events"},
    "migration_conflicts": {"count", "cleanup_blocked", "conflicts"},
    "body_upload_compatibility": {"body_upload_queue_count", "body_upload_failure_log_count"},
    "legacy_sources": {"waiting", "sources"},
    "background": {"last_delivery_at", "stalled_since"},
    "auth": {"mode", "authenticated"},
}  # fmt: skip
KEPT = {
    "ok", "exit_code", "active_queue", "legacy_queue", "total_pending", "total_failed",
    "oldest_event_age", "retry_distribution", "top_event_types",
}  # fmt: skip


def check_shape(report: dict[str, object]) -> None:
    jsonschema.Draft202012Validator(status_schema()).validate(report)


def test_report_of_an_empty_home_has_every_section_and_fits_its_schema(desk: Desk):
    """A home that does not exist yet has the whole report, with null where there is nothing."""
    report = desk.json("sync", "status")
    check_shape(report)
    assert set(report) >= KEPT
    for name, fields in SECTIONS.items():
        assert set(report[name]) >= fields, name
    assert report["oldest_event_age"] is None
    assert report["delivery_targets"]["current"] is None
    assert not desk.home.root.exists()


def test_committed_schema_of_the_report_is_the_generated_one():
    """`schemas/status.schema.json` is what the types say today."""
    assert (ROOT / "schemas" / FILE_NAME).read_bytes() == schema_files()[FILE_NAME]


def test_every_event_is_counted_once_under_what_became_of_it(desk: Desk, receiver: SmallReceiver):
    """Delivered, pending, rejected, refused, held and local-only events add up to the journal."""
    verdicts = ["success", "duplicate", "pending", "rejected", "failed_permanent"]
    receiver.judge = lambda event: {
        "event_id": event["event_id"],
        "status": verdicts[event["lamport_clock"] % 5],
        "error": "the field x is missing",
    }
    desk.put(*(make_event(number) for number in range(1, 11)))
    desk.put(make_event(11, project_uuid=None), make_event(12, data_tier=0))
    desk.run("sync", "server", receiver.url)
    desk.json("sync", "now", code=1)
    desk.put(make_event(13), make_event(14, project_uuid=None))
    report = desk.json("sync", "status")
    check_shape(report)
    ledger = report["delivery_ledger"]
    assert (ledger["delivered_current_target"], ledger["pending"], ledger["rejected"]) == (4, 2, 2)
    assert (ledger["terminal_failed"], report["terminal_failures"]["count"]) == (2, 2)
    assert {each["reason"]: each["count"] for each in report["held"]} == {
        "no_identity": 2, "local_only": 1,
    }  # fmt: skip
    assert ledger["undelivered"] == report["total_pending"] == 5
    assert sum(report["retry_distribution"].values()) == 5
    assert report["top_event_types"] == [["HistoryAdded", 5]]
    settled = ledger["delivered_current_target"] + ledger["undelivered"] + ledger["held"]
    assert settled + ledger["terminal_failed"] == report["event_journal"]["retained_event_count"]


def test_counts_behind_the_mark_agree_with_a_recount(desk: Desk, receiver: SmallReceiver):
    """However far a drain came, what status derives from block sums is what a scan finds."""
    rng = random.Random(7)
    numbers = iter(range(1, 10_000))
    desk.run("sync", "server", receiver.url)
    for limit in (3, 10, 1, 40):
        desk.put(
            *(
                make_event(
                    next(numbers),
                    project_uuid=rng.choice([None, "550e8400-e29b-41d4-a716-446655440000"]),
                    data_tier=rng.choice([0, 1, 2]),
                )
                for _ in range(30)
            )
        )
        desk.run("sync", "now", "--limit", str(limit))
        report = desk.json("sync", "status")
        sendable, delivered = desk.sql(
            "SELECT (SELECT count(*) FROM journal_ids WHERE tier > 0 AND hold IS NULL),"
            " (SELECT count(*) FROM delivery_ledger WHERE state = 'delivered')"
        )[0]
        assert report["delivery_ledger"]["undelivered"] == sendable - delivered
        held = {each["reason"]: each["count"] for each in report["held"]}
        assert held["no_identity"] == desk.sql(
            "SELECT count(*) FROM journal_ids WHERE hold IS NOT NULL")[0][0]  # fmt: skip


def test_check_says_stalled_when_nothing_was_delivered_for_a_day(
    desk: Desk, receiver: SmallReceiver
):
    """Events that could leave for longer than a day end --check with 3, and say since when."""
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    desk.json("sync", "now")
    desk.put(make_event(2))
    assert desk.json("sync", "status", "--check")["ok"]
    desk.sql("UPDATE event_journal SET appended_at_ms = appended_at_ms - ?", 25 * HOUR_MS)
    desk.sql("UPDATE delivery_targets SET last_delivery_at = last_delivery_at - ?", 26 * HOUR_MS)
    report = desk.json("sync", "status", "--check", code=3)
    assert [each["code"] for each in report["attention"]] == ["stalled"]
    assert report["background"]["stalled_since"] is not None
    assert report["exit_code"] == 3
    desk.run("sync", "now")
    assert desk.json("sync", "status", "--check")["attention"] == []


def test_a_server_that_nothing_was_ever_sent_to_is_stalled_too(desk: Desk, receiver: SmallReceiver):
    """Events that wait for a configured server from the first day on are noticed; kept ones not."""
    desk.put(make_event(1))
    desk.sql("UPDATE event_journal SET appended_at_ms = appended_at_ms - ?", 25 * HOUR_MS)
    report = desk.json("sync", "status", "--check", code=3)
    assert [each["code"] for each in report["attention"]] == ["blocked_no_target"]
    desk.run("sync", "server", receiver.url)
    report = desk.json("sync", "status", "--check", code=3)
    assert [each["code"] for each in report["attention"]] == ["stalled"]
    desk.run("sync", "mode", "local-retention")
    assert desk.json("sync", "status", "--check")["attention"] == []


def test_check_asks_the_server_with_the_real_token(desk: Desk, receiver: SmallReceiver):
    """A wrong token and a dead server show without an event to send; only --check asks."""
    receiver.token = f"right-{CANARY}"
    desk.run("sync", "server", receiver.url)
    wrong = desk.json("sync", "status", "--check", code=3, SPEC_KITTY_TOKEN=f"wrong-{CANARY}")
    assert wrong["connection"]["token"] == "refused"
    assert "canary" not in json.dumps(wrong)
    right = desk.json("sync", "status", "--check", SPEC_KITTY_TOKEN=f"right-{CANARY}")
    assert (right["connection"]["token"], right["connection"]["environment_name"]) == (
        "accepted", "small",
    )  # fmt: skip
    desk.run("sync", "server", "http://127.0.0.1:9")
    gone = desk.json("sync", "status", "--check", code=3)
    assert (gone["connection"]["reachable"], gone["attention"][0]["code"]) == (
        False, "server_unreachable",
    )  # fmt: skip
    assert desk.json("sync", "status")["connection"]["checked"] is False


def test_body_uploads_count_in_no_other_section(desk: Desk):
    """Document uploads of older versions are their own number, never events."""
    desk.put(make_event(1))
    before = desk.json("sync", "status")
    with closing(sqlite3.connect(desk.home.root / "queue.db")) as conn, conn:
        conn.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, event_id TEXT, event_type TEXT,"
                     " data TEXT, timestamp INTEGER, retry_count INTEGER)")  # fmt: skip
        conn.execute("CREATE TABLE body_upload_queue (row_id INTEGER PRIMARY KEY, content TEXT)")
        conn.executemany("INSERT INTO body_upload_queue VALUES (?, 'x')", [(1,), (2,)])
    after = desk.json("sync", "status")
    assert after["body_upload_compatibility"]["body_upload_queue_count"] == 2
    for name in ("event_journal", "delivery_ledger", "total_pending", "terminal_failures"):
        if name == "event_journal":
            before[name].pop("file_bytes"), after[name].pop("file_bytes")
        assert after[name] == before[name]


def snapshot(root: Path) -> dict[str, tuple[int, str]]:
    """Return every file's mode and bytes; our own WAL store by its content."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.name.endswith(("-shm", "-wal")) or not path.is_file():
            continue
        found[str(path.relative_to(root))] = (
            path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest(),
        )  # fmt: skip
    return found


READERS = [
    ("sync", "status"),
    ("sync", "status", "--check"),
    ("sync", "status", "--json"),
    ("sync", "doctor"),
    ("sync", "now", "--dry-run"),
    ("sync", "now", "--dry-run", "--redeliver"),
    ("sync", "gc"),
    ("sync", "gc", "--dry-run", "--local-only"),
    ("sync", "log"),
    ("sync", "verify"),
    ("sync", "show", event_id(1)),
    ("sync", "show", "--state", "rejected"),
    ("sync", "show", "--held", "no_identity"),
    ("sync", "targets", "list"),
    ("sync", "targets", "show", "1"),
    ("sync", "server"),
    ("sync", "mode"),
    ("sync", "migrate", "--dry-run"),
    ("sync", "migrate", "conflicts", "list"),
    ("sync", "migrate", "sources", "list"),
    ("diagnose",),
    ("auth", "status"),
    ("--version",),
    ("--help",),
]


@pytest.fixture
def lived_in(desk: Desk, receiver: SmallReceiver) -> Desk:
    """A home with every kind of event, a target, and an old queue beside it."""
    receiver.judge = reject("no such field", "schema_mismatch")
    desk.put(make_event(1), make_event(2, project_uuid=None), make_event(3, data_tier=0))
    desk.run("sync", "server", receiver.url)
    desk.run("sync", "now")
    with closing(sqlite3.connect(desk.home.root / "queue.db")) as conn, conn:
        conn.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, event_id TEXT, event_type TEXT,"
                     " data TEXT, timestamp INTEGER, retry_count INTEGER)")  # fmt: skip
        body = json.dumps(make_event(9))
        conn.execute("INSERT INTO queue VALUES (1, ?, 'HistoryAdded', ?, 0, 0)",
                     (event_id(9), body))  # fmt: skip
    return desk


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_reading_commands_change_nothing(lived_in: Desk, arguments: tuple[str, ...]):
    """Home, settings and old queues keep files, modes and bytes when a command reads."""
    before = snapshot(lived_in.root)
    done = lived_in.run(*arguments)
    assert done.code in (0, 1, 3), done
    assert snapshot(lived_in.root) == before


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_reading_commands_make_nothing_in_an_empty_place(desk: Desk, arguments: tuple[str, ...]):
    """A command that reads creates no home."""
    desk.run(*arguments)
    assert not desk.home.root.exists()


def test_status_works_on_a_read_only_home(lived_in: Desk):
    """Without the right to write, status still answers."""
    lived_in.home.root.chmod(0o500)
    try:
        assert unprivileged(lambda: lived_in.run("sync", "status")).code == 0
    finally:
        lived_in.home.root.chmod(0o700)
