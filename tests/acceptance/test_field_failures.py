"""What went wrong for operators of earlier versions, where no other test shows that it cannot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from desk import Desk, make_event
from small_receiver import SmallReceiver, reject

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
    """status, doctor, the preview and the end of a drain agree on what waits, and on the file."""
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
    wanted = (3, 9, str(desk.home.journal_db))
    for report in (status, doctor):
        ledger = report["delivery_ledger"]
        found = (ledger["delivered_current_target"], ledger["undelivered"])
        assert (*found, report["active_queue"]["path"]) == wanted
    assert preview["would_send"] == 9
    assert re.search(r"3  delivered", shown)
    assert re.search(r"9  to deliver", shown)
