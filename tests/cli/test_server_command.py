"""`sync server` and `sync targets list`: an address is judged when it is given, and shown whole."""

from __future__ import annotations

from desk import Desk, event_id, make_event
from small_receiver import SmallReceiver

FAR = "http://spec.example.invalid"


def test_server_refuses_plain_http_in_the_words_of_a_delivery(desk: Desk):
    """What every request would refuse is refused when it is chosen, and nothing is written."""
    refused = desk.json("sync", "server", FAR, code=2)["error"]
    assert not desk.home.config_toml.exists()
    desk.put(make_event(1))
    assert refused["message"].startswith("plain http to spec.example.invalid would show the token")
    assert desk.json("sync", "now", "--target", FAR, code=2)["error"] == refused


def test_server_takes_plain_http_that_was_allowed_and_forgets_it_for_another(desk: Desk):
    """--allow-http counts for the server that it was given for."""
    assert desk.run("sync", "server", FAR, "--allow-http").code == 0
    assert desk.run("sync", "server", FAR).code == 0
    assert desk.run("sync", "server", "http://other.example.invalid").code == 2
    assert desk.json("sync", "server")["configured_server_url"] == FAR


def test_server_says_which_one_it_replaces(desk: Desk):
    """A server that is chosen by mistake can be taken back: the one before is named."""
    assert "Before" not in desk.run("sync", "server", "http://127.0.0.1:8000").out
    assert "Before" not in desk.run("sync", "server", "http://127.0.0.1:8000").out
    changed = desk.run("sync", "server", "https://sync.example.org").out
    assert changed == (
        "Events go to https://sync.example.org.\nBefore, they went to http://127.0.0.1:8000.\n"
    )


def test_targets_list_shows_long_addresses_whole(desk: Desk, receiver: SmallReceiver):
    """An address can be copied from the list, however long it is."""
    desk.put(make_event(1))
    long = f"{receiver.url}/tenants/a-long-name-of-a-tenant-in-another-part-of-the-world"
    desk.run("sync", "now", "--target", long)
    desk.run("sync", "now", "--target", receiver.url)
    head, *rows = desk.run("sync", "targets", "list").out.splitlines()
    assert head.split() == ["no", "delivered", "last", "(UTC)", "state", "team", "address"]
    assert [row.split()[-1] for row in rows] == [long, receiver.url]


def test_a_target_that_never_took_an_event_is_counted_and_named_where_gc_waits_for_it(
    desk: Desk, receiver: SmallReceiver
):
    """A typo does not lengthen the report, and gc names the command that ends the wait for it."""
    desk.put(make_event(1))
    desk.run("sync", "now", "--target", "http://127.0.0.1:9")
    desk.run("sync", "server", receiver.url)
    desk.run("sync", "now")
    status = desk.run("sync", "status").out
    assert "1 that never took an event: `spec-kitty sync targets list`" in status
    assert "http://127.0.0.1:9:" not in status
    waiting = desk.run("sync", "gc").out
    assert "gc waits for target 1 http://127.0.0.1:9, which has 0 events" in waiting
    assert "`spec-kitty sync targets retire 1`" in waiting
    desk.run("sync", "targets", "retire", "1")
    assert "waits for" not in desk.run("sync", "gc").out


def test_limit_that_a_server_no_longer_states_holds_nothing_back(
    desk: Desk, receiver: SmallReceiver
):
    """A limit ends with the answer that leaves it out, not with an answer that says nothing."""
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    receiver.says_of_itself = {"max_event_bytes": 100}
    desk.run("sync", "now")
    assert receiver.events == []
    receiver.page = (200, b"{}")  # whatever stands in front of the server
    desk.run("sync", "now")
    receiver.page = None
    assert held(desk) == ["too_large"]
    receiver.says_of_itself = {"environment_name": "small"}
    assert desk.json("sync", "now")["delivered"] == 1
    assert held(desk) == []
    assert [event["event_id"] for event in receiver.events] == [event_id(1)]


def held(desk: Desk) -> list[str]:
    return [each["reason"] for each in desk.json("sync", "status")["held"]]
