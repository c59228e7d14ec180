"""From an old queue to a delivered journal, through the real command line and a real receiver."""

from __future__ import annotations

import pytest
from terminal import TOKEN


def fetch(receiver) -> list[str]:
    """Return the ids that the receiver holds."""
    import httpx

    ids: list[str] = []
    after = 0
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
        while True:
            page = client.get(
                f"{receiver.url}/api/v1/events/", params={"limit": 500, "after": after}
            ).json()
            ids.extend(entry["event"]["event_id"] for entry in page["events"])
            if not page["more"]:
                return ids
            after = page["next_after"]


@pytest.mark.parametrize(
    ("case", "rows", "held"), [("natural-2.1.3", 327, 18), ("realcli-3.0.3", 20, 0)]
)
def test_an_old_home_is_imported_and_delivered(operator, receiver, case, rows, held):
    """Every row is imported, rows without identity are held and named, the rest arrives once."""
    operator.unpack(case)
    assert operator.json("sync", "migrate")["imported"] == rows
    assert operator.run("sync", "server", receiver.url).returncode == 0
    first = operator.json("sync", "now", code=1 if held else 0, SPEC_KITTY_TOKEN=TOKEN)
    assert (first["selected"], first["delivered"]) == (rows - held, rows - held)
    ids = fetch(receiver)
    assert len(ids) == len(set(ids)) == rows - held
    report = operator.json("sync", "status")
    assert report["event_journal"]["retained_event_count"] == rows
    assert report["delivery_ledger"]["delivered_current_target"] == rows - held
    assert {each["reason"]: each["count"] for each in report["held"]} == (
        {"no_identity": held} if held else {}
    )
    text = operator.run("sync", "status").stdout
    assert (f"{held} without project identity" in text) is bool(held)
    again = operator.json("sync", "now", code=1 if held else 0, SPEC_KITTY_TOKEN=TOKEN)
    assert (again["selected"], again["requests"]) == (0, 0)


def test_our_own_events_travel_the_same_way(operator, receiver):
    """An emitted event is in the journal at once and at the receiver after `sync now`."""
    done = operator.run(
        "emit", "HistoryAdded", "--json", "-",
        stdin='{"wp_id": "WP01", "entry_type": "note", "entry_content": "hi"}',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    event_id = done.stdout.split()[-1]
    assert operator.json("sync", "status")["delivery_ledger"]["undelivered"] == 1
    operator.run("sync", "server", receiver.url)
    assert operator.run("sync", "now", SPEC_KITTY_TOKEN=TOKEN).returncode == 0
    assert fetch(receiver) == [event_id]


def test_an_invalid_event_is_refused_and_not_stored(operator):
    """A payload that breaks a rule exits with 2, names the field, and leaves the journal empty."""
    done = operator.run("emit", "HistoryAdded", "--json", "-", stdin='{"wp_id": "WP1"}')
    assert done.returncode == 2
    assert "wp_id" in done.stderr
    assert operator.json("sync", "status")["event_journal"]["retained_event_count"] == 0


def test_two_servers_are_refused_before_any_call(operator, receiver):
    """Config and environment that differ: `sync now` exits with 2 and names both addresses."""
    operator.run("sync", "server", receiver.url)
    done = operator.run("sync", "now", SPEC_KITTY_SAAS_URL="http://127.0.0.1:9")
    assert done.returncode == 2
    assert receiver.url in done.stderr
    assert "http://127.0.0.1:9" in done.stderr
    assert "SPEC_KITTY_TARGET_OVERRIDE=process" in done.stderr


def test_a_wrong_token_stops_with_the_command_that_helps(operator, receiver):
    """A refused token stops the drain; the event stays deliverable and is delivered later."""
    operator.run(
        "emit", "HistoryAdded", "--json", "-",
        stdin='{"wp_id": "WP01", "entry_type": "note", "entry_content": "hi"}',
    )  # fmt: skip
    operator.run("sync", "server", receiver.url)
    refused = operator.json("sync", "now", code=1, SPEC_KITTY_TOKEN="canary-9f3")
    assert refused["stop"]["code"] == "auth_expired"
    assert refused["not_sent"] == 1
    assert "canary-9f3" not in operator.run("sync", "status", "--json").stdout
    assert operator.json("sync", "now", SPEC_KITTY_TOKEN=TOKEN)["delivered"] == 1


def test_an_unreachable_server_loses_nothing(operator):
    """Offline, `sync now` says so and exits with 1; the event is still to be delivered."""
    operator.run(
        "emit", "HistoryAdded", "--json", "-",
        stdin='{"wp_id": "WP01", "entry_type": "note", "entry_content": "hi"}',
    )  # fmt: skip
    operator.run("sync", "server", "http://127.0.0.1:9")
    assert operator.json("sync", "now", code=1)["stop"]["code"] == "offline"
    assert operator.json("sync", "status")["delivery_ledger"]["undelivered"] == 1


def test_sync_now_says_what_waits_in_old_queues(operator, receiver):
    """While an old queue holds events, `sync now` never says that everything is delivered."""
    operator.unpack("realcli-3.0.3")
    operator.run("sync", "server", receiver.url)
    done = operator.run("sync", "now", SPEC_KITTY_TOKEN=TOKEN)
    assert done.returncode == 1
    assert "20 events wait in queues of older versions" in done.stdout
    assert "spec-kitty sync migrate" in done.stdout
    assert "delivered" not in done.stdout.lower().replace("undelivered", "")
    operator.run("sync", "migrate")
    done = operator.run("sync", "now", SPEC_KITTY_TOKEN=TOKEN)
    assert done.returncode == 0, done.stdout
    assert "Everything delivered." in done.stdout
