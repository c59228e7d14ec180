"""What went wrong for operators of earlier versions, where no other test shows that it cannot."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from desk import Desk, make_event
from legacy_homes import event, write_queue
from receiver_server import in_process
from small_receiver import SmallReceiver, reject

from spec_kitty_sync.receiver.app import build_app
from spec_kitty_sync.receiver.settings import Settings

OLD_CAP = 10_000


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


def test_journal_takes_more_events_than_the_old_cap_and_delivers_them(desk: Desk):
    """Beyond the 10,000 events of the old queues nothing is dropped, first or last."""
    with SmallReceiver() as receiver:
        desk.run("sync", "server", receiver.url)
        desk.put(*map(make_event, range(OLD_CAP + 5)))
        assert desk.json("sync", "now")["delivered"] == OLD_CAP + 5
        assert receiver.events == [make_event(number) for number in range(OLD_CAP + 5)]


def test_every_surface_shows_the_numbers_of_one_report(desk: Desk):
    """status, doctor, targets, preview and drain agree on what waits, where, and for whom."""
    with SmallReceiver() as receiver:
        desk.run("sync", "server", receiver.url)
        desk.put(*map(make_event, range(3)))
        assert desk.run("sync", "now").code == 0
        receiver.judge = reject("a field is missing", "schema_mismatch")
        desk.put(*map(make_event, range(3, 5)))
        assert desk.run("sync", "now").code == 1
        desk.put(*map(make_event, range(5, 12)))
        status = desk.json("sync", "status")
        doctor = desk.json("sync", "doctor", code=None)["status"]
        preview = desk.json("sync", "now", "--dry-run")
        shown = desk.run("sync", "status").out
        (listed,) = desk.json("sync", "targets", "list")["targets"]
        drained = desk.json("sync", "now", code=1)
    wanted = (3, 9, str(desk.home.journal_db), receiver.url)
    for report in (status, doctor):
        ledger = report["delivery_ledger"]
        found = (ledger["delivered_current_target"], ledger["undelivered"])
        where = report["target_authority"]["resolved_server_url"]
        assert (*found, report["active_queue"]["path"], where) == wanted
    assert (preview["would_send"], preview["endpoint"]) == (9, receiver.url)
    assert (listed["delivered_count"], listed["url"], listed["active"]) == (3, receiver.url, True)
    assert drained["selected"] == 9
    assert drained["endpoint"].startswith(receiver.url)
    assert re.search(r"3  delivered", shown)
    assert re.search(r"9  to deliver", shown)


def test_conflict_keeps_only_its_own_event_back_and_is_resolved_by_a_command(desk: Desk):
    """Two contents of one id: all others are delivered meanwhile; one command frees the id."""
    first, second, other = event(1), event(2), event(1, aggregate_id="WP99")
    write_queue(desk.home.root / "queue.db", [first, second])
    write_queue(desk.home.root / "queues" / "queue-0123456789abcdef.db", [other])
    with SmallReceiver() as receiver:
        desk.run("sync", "server", receiver.url)
        assert desk.run("sync", "migrate").code == 1
        assert desk.run("sync", "now").code == 1
        assert receiver.events == [second]
        (listed,) = desk.json("sync", "migrate", "conflicts", "list", code=1)["conflicts"]
        shown = desk.run("sync", "migrate", "conflicts", "show", listed["event_id"]).out
        assert "WP99" in shown
        resolve = ("conflicts", "resolve", listed["event_id"], "--keep", "source")
        assert desk.run("sync", "migrate", *resolve, "--reason", "newer").code == 0
        desk.run("sync", "now")
        assert receiver.events == [second, other]


def test_diagnose_predicts_what_the_receiver_says(desk: Desk):
    """What diagnose calls invalid is what the reference receiver rejects, and nothing else."""
    lacking = ("payload", "timestamp", "node_id", "lamport_clock", "aggregate_type")
    events = [make_event(1)]
    for number, name in enumerate(lacking, start=2):
        events.append({key: value for key, value in make_event(number).items() if key != name})
    file = desk.root / "events.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in events))
    lines = desk.run("diagnose", str(file), "--jsonl").out.splitlines()
    predicted = {each["event_id"]: each["valid"] for each in map(json.loads, lines)}
    with in_process(build_app(Settings(desk.root / "receiver.db"))) as server:
        said = server.statuses(events)
    assert [predicted[each["event_id"]] for each in events] == [True] + [False] * len(lacking)
    assert said == ["success"] + ["rejected"] * len(lacking)
