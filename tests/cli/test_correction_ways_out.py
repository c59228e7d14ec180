"""An event that a target may have is corrected, or given up, by the way that the refusal names."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from desk import Desk, Ran, drain_on_the_wire, event_id, make_event
from remedies import commands
from small_receiver import SmallReceiver, reject

REFUSES = reject("payload.wp_id is missing", "schema_mismatch")
ACTIONS = ("replace", "discard")
ACTION = pytest.mark.parametrize("action", ACTIONS)


@pytest.fixture
def former() -> Iterator[SmallReceiver]:
    """The server that events went to before."""
    with SmallReceiver() as running:
        yield running


def sent_to(desk: Desk, server: SmallReceiver) -> AbstractContextManager[object]:
    """Have an event on the wire to *server*, for as long as the block runs."""
    desk.put(make_event(1))
    desk.run("sync", "server", server.url)
    return drain_on_the_wire(desk, server)


def choose(desk: Desk, server: SmallReceiver) -> None:
    """Go on with *server*, which rejects the event."""
    server.judge = REFUSES
    desk.run("sync", "server", server.url)
    assert desk.json("sync", "now", code=1)["rejected"] == 1


def correct(desk: Desk, action: str) -> Ran:
    """Try to replace or discard the event."""
    if action == "discard":
        return desk.run("sync", "discard", event_id(1), "--reason", "x", "--yes", "--json")
    path = desk.root / "mended.json"
    path.write_text(json.dumps(make_event(1, aggregate_id="WP02")))
    return desk.run("sync", "replace", event_id(1), "--file", str(path), "--json")


def refused(desk: Desk, action: str, *words: str) -> str:
    """Assert that the event may not change, that *words* are said; return the remedy."""
    done = correct(desk, action)
    error = done.json["error"]
    assert (done.code, error["code"]) == (2, "event_conflict")
    for word in words:
        assert word in error["message"], error
    return str(error["remedy"])


def follow(desk: Desk, remedy: str, name: str) -> None:
    """Run those commands of *remedy* that contain *name*, word for word."""
    chosen = [each for each in commands(remedy) if re.search(name, each)]
    assert chosen, remedy
    for command in chosen:
        desk.run(*shlex.split(command)[1:])


@ACTION
def test_what_a_killed_drain_had_sent_is_asked_for_at_its_target(
    desk: Desk, receiver: SmallReceiver, former: SmallReceiver, action: str
):
    """The refusal names the target that may have the event; once it said no, the event changes."""
    with sent_to(desk, former):
        pass
    choose(desk, receiver)
    remedy = refused(desk, action, "target 1", former.url, "may have it")
    former.judge = REFUSES
    former.go_on.set()
    follow(desk, remedy, "sync now")
    assert correct(desk, action).code == 0


@ACTION
def test_target_that_took_what_a_killed_drain_had_sent_is_named(
    desk: Desk, receiver: SmallReceiver, former: SmallReceiver, action: str
):
    """Where the event turns out to be stored there, it stays as it is, and where is said."""
    with sent_to(desk, former):
        pass
    choose(desk, receiver)
    remedy = refused(desk, action)
    former.go_on.set()
    follow(desk, remedy, "sync now")
    assert "new event" in refused(desk, action, "target 1", former.url, "has it")


@ACTION
def test_event_is_free_once_a_dead_server_is_given_up(
    desk: Desk, receiver: SmallReceiver, former: SmallReceiver, action: str
):
    """Who retires a target that can never answer has given up what it may have."""
    with sent_to(desk, former):
        pass
    choose(desk, receiver)
    follow(desk, refused(desk, action), "retire")
    assert correct(desk, action).code == 0


@ACTION
def test_event_is_free_once_a_dead_server_was_asked(
    desk: Desk, receiver: SmallReceiver, action: str
):
    """Where the server is gone, asking it once is enough: nobody has accepted the event."""
    with SmallReceiver() as gone, sent_to(desk, gone):
        pass
    choose(desk, receiver)
    follow(desk, refused(desk, action), "sync now")
    assert correct(desk, action).code == 0


def test_retiring_frees_nothing_while_the_event_is_on_the_wire(
    desk: Desk, receiver: SmallReceiver, former: SmallReceiver
):
    """A drain that began before still may deliver it, and the event waits for its end."""
    with sent_to(desk, former):
        desk.run("sync", "targets", "retire", "1")
        refused(desk, "discard", "target 1", "may have it")
    assert correct(desk, "discard").code == 0


def test_show_names_the_target_that_may_have_the_event(desk: Desk, former: SmallReceiver):
    """A claim without an answer is listed, with its target and since when."""
    with sent_to(desk, former):
        pass
    (claim,) = desk.json("sync", "show", event_id(1))["claims"]
    assert (claim["target_id"], claim["url"], claim["active"]) == (1, former.url, True)
    shown = desk.run("sync", "show", event_id(1)).out
    assert "may have it" in shown
    assert claim["since"] in shown
    assert "nobody has been told" not in shown
    former.go_on.set()
    desk.run("sync", "now")
    assert desk.json("sync", "show", event_id(1))["claims"] == []


@ACTION
def test_what_a_retired_target_has_not_settled_is_asked_for_there(
    desk: Desk, receiver: SmallReceiver, former: SmallReceiver, action: str
):
    """The way to a pending event of a retired target leads over its restore."""
    desk.put(make_event(1))
    desk.run("sync", "server", former.url)
    former.judge = lambda event: {"event_id": event["event_id"], "status": "pending"}
    desk.run("sync", "now")
    desk.run("sync", "targets", "retire", "1")
    choose(desk, receiver)
    remedy = refused(desk, action, "target 1", former.url, "has not settled")
    desk.sql("UPDATE delivery_ledger SET not_before = 0")  # an hour later
    former.judge = REFUSES
    follow(desk, remedy, "restore|sync now")
    assert correct(desk, action).code == 0


@ACTION
def test_what_one_target_has_and_another_refuses_can_be_taken_away(
    desk: Desk, receiver: SmallReceiver, former: SmallReceiver, action: str
):
    """A dead letter that another target has is neither corrected nor there for ever."""
    desk.put(make_event(1))
    desk.run("sync", "server", former.url)
    desk.run("sync", "now")
    receiver.judge = reject("too odd", "odd", status="failed_permanent")
    desk.run("sync", "server", receiver.url)
    desk.run("sync", "now")
    assert desk.run("sync", "status", "--check").code == 3
    remedy = refused(desk, action, "target 1", former.url, "has it")
    (take_away,) = [shlex.split(each) for each in commands(remedy) if "gc" in each]
    assert desk.run(*take_away[1:], "--yes").code == 0
    assert desk.json("sync", "show", event_id(1))["removed"] == "collected"
    (attention,) = desk.json("sync", "status", "--check", code=3)["attention"]
    follow(desk, attention["remedy"], "retry")
    desk.run("sync", "now")
    assert desk.run("sync", "status", "--check").code == 0
