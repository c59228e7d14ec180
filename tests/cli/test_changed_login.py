"""Somebody else logs in while events are on their way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from canary import CANARY
from desk import Desk, event_id, make_event
from small_receiver import SmallReceiver

from spec_kitty_sync.auth.credentials import load_credentials, save_credentials

EVENTS = 6


@pytest.fixture
def two_at_a_time(desk: Desk, receiver: SmallReceiver) -> Desk:
    """A desk of ada with events that take three batches."""
    receiver.says_of_itself["max_batch_events"] = 2
    desk.put(*(make_event(number) for number in range(1, EVENTS + 1)))
    desk.run("sync", "server", receiver.url)
    desk.environ["SK_PASSWORD"] = "lovelace"
    desk.run("auth", "login", "--username", "ada", "--password-env", "SK_PASSWORD")
    return desk


def test_drain_never_goes_on_with_the_next_users_token(two_at_a_time, receiver):
    """What ada began is not sent as bob: the drain stops, and says what to run for the rest."""
    desk = two_at_a_time
    path = desk.home.credentials
    ada = load_credentials(path)
    receiver.token = None  # any token will do: the client has to see the difference
    tokens = []
    decide = receiver.decide

    def watch(token, document):
        tokens.extend([token] * len(document["events"]))
        bob = replace(ada, username="bob", access=f"{CANARY}-bob", login="bobs-login")
        save_credentials(path, bob)
        return decide(token, document)

    receiver.decide = watch
    summary = desk.json("sync", "now", code=1)
    assert tokens == [f"Bearer {ada.access}"] * 2
    assert (summary["delivered"], summary["not_sent"]) == (2, EVENTS - 2)
    assert summary["stop"]["code"] == "credentials"
    assert "ada is no longer logged in" in summary["stop"]["message"]
    assert "spec-kitty sync now" in summary["stop"]["remedy"]
    # As bob everything goes out once more: his server may not show him what was ada's.
    desk.run("sync", "now")
    assert tokens[2:] == [f"Bearer {CANARY}-bob"] * EVENTS
    assert [event["event_id"] for event in receiver.events[2:]] == [
        event_id(number) for number in range(1, EVENTS + 1)
    ]
