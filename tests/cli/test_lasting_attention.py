"""What an operator has to look at stays in the report until it is dealt with."""

from __future__ import annotations

import json
import os

import pytest
from desk import Desk, drain_on_the_wire, event_id, make_event
from receiver_server import start_server
from remedies import LOGIN
from small_receiver import SmallReceiver, accept, reject
from unprivileged import unprivileged

from spec_kitty_sync.cli.render_words import when


def wants(desk: Desk, *, code: int | None = 3) -> dict[str, str]:
    """Return what `sync status --check` points at, with the remedy of each."""
    report = desk.json("sync", "status", "--check", code=code)
    return {each["code"]: each["remedy"] for each in report["attention"]}


@pytest.fixture
def delivered(desk: Desk, receiver: SmallReceiver) -> Desk:
    """A desk whose only event the server has."""
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    desk.run("sync", "now")
    return desk


@pytest.fixture
def emptied(desk: Desk, receiver: SmallReceiver) -> Desk:
    """A desk whose server took an event, and then came back as another one."""
    receiver.says_of_itself = {"server_instance_id": "first"}
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    desk.json("sync", "now")
    assert wants(desk, code=0) == {}
    receiver.says_of_itself = {"server_instance_id": "second"}
    return desk


def test_check_sees_another_deployment_before_anything_is_sent_to_it(emptied: Desk):
    """The server's own word is enough: no delivery has to meet it first."""
    assert "sync now --redeliver" in wants(emptied)["server_reset"]


def test_another_deployment_is_pointed_at_until_everything_is_delivered_again(
    emptied: Desk, receiver: SmallReceiver
):
    """Neither `sync now` nor `sync status` calls it all delivered; --redeliver ends that."""
    for _ in range(2):
        printed = emptied.run("sync", "now").out
        assert "what was delivered before may be gone" in " ".join(printed.split())
        assert "Everything delivered" not in printed
    assert "Everything delivered" not in emptied.run("sync", "status").out
    assert "spec-kitty sync targets confirm 1" in wants(emptied)["server_reset"]
    assert "Everything delivered." in emptied.run("sync", "now", "--redeliver").out
    assert wants(emptied, code=0) == {}
    assert len(receiver.events) == 2


def test_redelivery_to_another_deployment_needs_no_run_before_it(emptied: Desk):
    """Who redelivers at once has dealt with it."""
    assert "Everything delivered." in emptied.run("sync", "now", "--redeliver").out
    assert wants(emptied, code=0) == {}


def test_another_deployment_is_forgotten_when_its_data_is_confirmed(
    emptied: Desk, receiver: SmallReceiver
):
    """A server that moved with its data is confirmed once; the next change counts again."""
    emptied.run("sync", "now")
    assert emptied.run("sync", "targets", "confirm", "1").code == 0
    assert wants(emptied, code=0) == {}
    assert "Everything delivered." in emptied.run("sync", "now").out
    receiver.says_of_itself = {"server_instance_id": "third"}
    emptied.run("sync", "now")
    assert set(wants(emptied)) == {"server_reset"}


def test_a_server_that_took_nothing_has_lost_nothing(desk: Desk, receiver: SmallReceiver):
    """Another deployment before the first delivery is no reason to look."""
    receiver.says_of_itself = {"server_instance_id": "first"}
    desk.run("sync", "server", receiver.url)
    desk.run("sync", "now")
    receiver.says_of_itself = {"server_instance_id": "second"}
    desk.put(make_event(1))
    desk.run("sync", "now")
    assert wants(desk, code=0) == {}


def test_a_stopped_attempt_is_pointed_at_until_one_gets_through(
    desk: Desk, receiver: SmallReceiver
):
    """Events that wait behind a 404 come with the command that changes the address."""
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    receiver.answer = (404, {}, {})
    desk.run("sync", "now")
    plain = desk.json("sync", "status")
    (found,) = plain["attention"]
    assert (found["code"], plain["exit_code"]) == ("last_attempt_stopped", 0)
    assert "`spec-kitty sync server URL`" in found["remedy"]
    receiver.answer = None
    desk.run("sync", "now")
    assert desk.json("sync", "status")["attention"] == []


def test_events_without_a_server_are_pointed_at(desk: Desk):
    """Waiting events of a machine that has no server come with the command that names one."""
    assert wants(desk, code=0) == {}
    desk.put(make_event(1))
    assert "`spec-kitty sync server URL`" in wants(desk)["blocked_no_target"]
    desk.run("sync", "mode", "LOCAL_RETENTION")
    assert wants(desk, code=0) == {}


def test_a_rejected_event_is_pointed_at_before_it_is_parked(desk: Desk, receiver: SmallReceiver):
    """It is tried again by itself, but somebody may mend it sooner."""
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    receiver.judge = reject("the field x is missing", "schema")
    desk.run("sync", "now")
    assert "sync show --state rejected" in wants(desk)["rejected_events"]
    receiver.judge = accept
    desk.sql("UPDATE delivery_ledger SET not_before = 0")
    desk.run("sync", "now")
    assert wants(desk, code=0) == {}


@pytest.mark.parametrize(("options", "said"), [((), True), (("--database", "r.db"), False)])
def test_receiver_without_a_database_says_that_it_forgets(
    desk: Desk, options: tuple[str, ...], *, said: bool
):
    """Its first lines say that what it takes is gone when it ends."""
    server = start_server("--no-auth", *options)
    assert server.process is not None
    server.process.terminate()
    printed = server.process.communicate(timeout=60)[1]
    assert ("no --database: what is stored here is gone" in printed) is said


def let_days_pass(desk: Desk, days: int) -> None:
    """Have everything so far happen *days* earlier."""
    earlier = days * 24 * 3_600_000
    desk.sql("UPDATE event_journal SET appended_at_ms = appended_at_ms - ?", earlier)
    desk.sql("UPDATE delivery_targets SET last_delivery_at = last_delivery_at - ?", earlier)


@pytest.mark.parametrize(
    ("staying", "limit"),
    [
        ({"data_tier": 0}, None),
        ({"project_uuid": None}, None),
        ({"team_slug": "team-b"}, None),
        ({"payload": {"wp_id": "WP01", "entry_content": "x" * 2000}}, 1000),
    ],
    ids=["local only", "held", "other team", "too large"],
)
def test_events_that_wait_behind_many_that_stay_are_seen(
    desk: Desk, receiver: SmallReceiver, staying: dict[str, object], limit: int | None
):
    """However many events stay here, those behind them are missed when none is delivered."""
    if limit is not None:
        receiver.says_of_itself = {"max_event_bytes": limit}
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    desk.environ["SK_PASSWORD"] = "lovelace"
    desk.run("auth", "login", *LOGIN)
    assert desk.json("sync", "now")["delivered"] == 1
    desk.put(*(make_event(number, **staying) for number in range(2, 11_002)))
    desk.put(*(make_event(number) for number in range(11_002, 11_052)))
    let_days_pass(desk, 30)
    desk.put(*(make_event(number) for number in range(11_052, 11_062)))
    let_days_pass(desk, 10)
    report = desk.json("sync", "status", "--check", code=3)
    assert "stalled" in {each["code"] for each in report["attention"]}
    assert report["background"]["oldest_undelivered_at"] == oldest_of(desk, 11_002)
    assert report["top_event_types"]
    desk.run("sync", "now")
    assert "stalled" not in wants(desk, code=None)


@pytest.mark.parametrize("staying", [{"data_tier": 0}, {"project_uuid": None}])
def test_events_for_a_server_that_was_never_sent_any_are_seen_behind_many_that_stay(
    desk: Desk, receiver: SmallReceiver, staying: dict[str, object]
):
    """The oldest event that could leave is found, wherever it is."""
    desk.put(*(make_event(number, **staying) for number in range(1, 20_000)))
    desk.put(make_event(20_000))
    let_days_pass(desk, 40)
    desk.run("sync", "server", receiver.url)
    report = desk.json("sync", "status", "--check", code=3)
    assert "stalled" in {each["code"] for each in report["attention"]}
    assert report["background"]["oldest_undelivered_at"] == oldest_of(desk, 20_000)


def test_events_too_large_for_the_server_do_not_hide_that_nothing_was_tried(
    desk: Desk, receiver: SmallReceiver
):
    """What counts as undelivered has an age, though the next drain will hold it."""
    receiver.says_of_itself = {"max_event_bytes": 1000}
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    assert desk.json("sync", "now")["delivered"] == 1
    desk.put(*(make_event(number, data_tier=0) for number in range(2, 8193)))
    desk.put(make_event(8193, payload={"wp_id": "WP01", "entry_content": "x" * 2000}))
    let_days_pass(desk, 40)
    report = desk.json("sync", "status", "--check", code=3)
    assert report["delivery_ledger"]["undelivered"] == 1
    assert report["background"]["oldest_undelivered_at"] is not None
    assert "stalled" in wants(desk)
    desk.run("sync", "now")
    assert set(wants(desk)) == {"held_too_large"}


def oldest_of(desk: Desk, number: int) -> str:
    """Return when one event was appended."""
    return str(desk.json("sync", "show", event_id(number))["appended_at"])


def test_team_that_a_killed_run_included_is_not_counted_as_this_ones(
    desk: Desk, receiver: SmallReceiver
):
    """What one run may send besides ends with it, however it ends."""
    desk.put(make_event(1, team_slug="team-b"))
    desk.run("sync", "server", receiver.url)
    desk.environ["SK_PASSWORD"] = "lovelace"
    desk.run("auth", "login", *LOGIN)
    desk.run("sync", "now")
    desk.put(make_event(2, team_slug="team-b"))
    with drain_on_the_wire(desk, receiver, "--include-team", "team-b"):
        pass
    desk.put(make_event(3, team_slug="team-b"), make_event(4))
    report = desk.json("sync", "status")
    assert {each["reason"]: each["count"] for each in report["held"]} == {"other_team": 3}
    assert report["delivery_ledger"]["undelivered"] == 1
    assert desk.json("sync", "now", "--dry-run")["would_send"] == 1
    receiver.go_on.set()
    assert desk.json("sync", "now")["delivered"] == 1
    assert receiver.events[-1]["event_id"] == event_id(4)


# What keeps events from being captured


def disk_with(free_bytes: int):
    """Return an `os.statvfs` that sees *free_bytes* left, in blocks of one byte."""
    look = os.statvfs

    def found(path):
        fields = list(look(path))
        fields[1], fields[4] = 1, free_bytes
        return os.statvfs_result(fields)

    return found


def test_check_points_at_a_full_disk(delivered: Desk, monkeypatch: pytest.MonkeyPatch):
    """Whoever watches learns that events cannot be captured before the first is refused."""
    monkeypatch.setattr(os, "statvfs", disk_with(3 * 1024**2))
    assert set(wants(delivered)) == {"disk_full"}
    assert "3.0 MiB are left" in delivered.run("sync", "status").out
    monkeypatch.setattr(os, "statvfs", disk_with(1024**3))
    assert wants(delivered, code=0) == {}


def test_check_points_at_a_home_that_cannot_be_written(delivered: Desk):
    """A read-only home is read, and the report says that it takes nothing in."""
    delivered.home.root.chmod(0o500)
    found = unprivileged(lambda: delivered.run("sync", "status", "--check", "--json").out)
    delivered.home.root.chmod(0o700)
    assert [each["code"] for each in json.loads(found)["attention"]] == ["home_read_only"]


def test_status_names_since_when_events_wait_apart_from_the_first_that_is_kept(delivered: Desk):
    """The time of an event that was delivered long ago is not taken for that of one that waits."""
    let_days_pass(delivered, 9)
    delivered.put(make_event(2))
    let_days_pass(delivered, 2)
    said = delivered.run("sync", "status").out
    report = delivered.json("sync", "status")
    assert report["background"]["oldest_undelivered_at"] == oldest_of(delivered, 2)
    shown = when(oldest_of(delivered, 2), report["generated_at"])
    assert f"the first to deliver: {shown}" in said
    assert f"the first of them: {when('2026-02-12T10:00:00Z', report['generated_at'])}" in said
