"""A token that stands in a variable: whose it is nobody knows, and no login helps it."""

from __future__ import annotations

import re

import pytest
from canary import CANARY
from desk import Desk, make_event
from small_receiver import SmallReceiver

LOGIN = ("auth", "login", "--username", "ada", "--password-env", "SK_PASSWORD")


@pytest.fixture
def logged_in(desk: Desk, receiver: SmallReceiver) -> Desk:
    """A desk where ada is logged in, with one event that waits."""
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    desk.environ["SK_PASSWORD"] = "lovelace"
    desk.run(*LOGIN)
    return desk


@pytest.fixture(params=["SPEC_KITTY_TOKEN", "MYTOK"])
def variable(request: pytest.FixtureRequest, logged_in: Desk, receiver: SmallReceiver) -> str:
    """Each of the two ways to name one."""
    if request.param == "MYTOK":
        logged_in.run("sync", "server", receiver.url, "--token-env", "MYTOK")
    return request.param


def test_delivery_with_a_variable_is_not_written_down_as_the_logins(
    logged_in: Desk, receiver: SmallReceiver, variable: str
):
    """Bo's token delivered it: ada's target still lacks the event, and gets it once she drains."""
    receiver.token = f"{CANARY}-bos"
    assert logged_in.run("sync", "now", **{variable: receiver.token}).code == 0
    assert len(receiver.events) == 1
    status = logged_in.run("sync", "status", **{variable: receiver.token}).out
    assert f"from {variable}; a login is not used" in status
    assert "ada" not in status
    if variable == "MYTOK":
        logged_in.run("sync", "server", receiver.url, "--no-token-env")
    assert logged_in.json("sync", "status")["delivery_ledger"]["undelivered"] == 1
    logged_in.run(*LOGIN)
    assert logged_in.run("sync", "now").code == 0
    assert len(receiver.events) == 2


def test_remedy_of_a_refused_variable_is_not_a_login(
    logged_in: Desk, receiver: SmallReceiver, variable: str
):
    """Following what the drain and the report print ends the refusal, without another login."""
    bad = {variable: f"{CANARY}-nobodys"}
    stopped = logged_in.json("sync", "now", code=1, **bad)["stop"]["remedy"]
    report = logged_in.json("sync", "status", **bad)
    (told,) = [each["remedy"] for each in report["attention"]]
    assert stopped == told
    assert f"a token that the server accepts into {variable}" in told
    found = re.search(r"or run `([^`]+)`", told)
    assert found is not None
    command = found[1].split()
    if command[0] != "unset":
        assert logged_in.run(*command[1:]).code == 0
    assert logged_in.run("sync", "now").code == 0


def test_variable_that_is_not_set_names_the_way_back_to_the_login(
    logged_in: Desk, receiver: SmallReceiver
):
    """The refusal says how to go by the login again; that works."""
    logged_in.run("sync", "server", receiver.url, "--token-env", "MYTOK")
    refused = logged_in.run("sync", "now")
    assert refused.code == 2
    assert f"spec-kitty sync server {receiver.url} --no-token-env" in " ".join(refused.err.split())
    logged_in.run("sync", "server", receiver.url, "--no-token-env")
    assert logged_in.run("sync", "now").code == 0


def test_teamspace_says_which_variable_keeps_the_login_from_counting(logged_in: Desk):
    """In a mode that needs a team, a token of unknown owner is refused, with the way out."""
    logged_in.run("sync", "mode", "TEAMSPACE")
    refused = logged_in.run("sync", "now", SPEC_KITTY_TOKEN=f"{CANARY}-bos")
    assert refused.code == 2
    assert "`unset SPEC_KITTY_TOKEN`" in refused.err
    assert logged_in.run("sync", "now").code == 0
