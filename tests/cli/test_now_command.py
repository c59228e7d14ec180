"""`sync now`: a summary that adds up, failures with a way on, exit codes, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from canary import CANARY
from desk import Desk, event_id, make_event
from small_receiver import SmallReceiver, reject

SUMMED = (
    "delivered", "duplicates", "pending", "rejected", "dead", "terminal", "transient", "not_sent",
)  # fmt: skip


@pytest.fixture
def ready(desk: Desk, receiver: SmallReceiver) -> Desk:
    """A desk with five events and a server."""
    desk.put(*(make_event(number) for number in range(1, 6)))
    desk.run("sync", "server", receiver.url)
    return desk


def test_summary_adds_up_whatever_the_answers(ready: Desk, receiver: SmallReceiver):
    """Selected is the sum of every outcome, and each failure has a reason, ids and a remedy."""
    statuses = ["success", "duplicate", "pending", "rejected", "nonsense"]
    receiver.judge = lambda event: {
        "event_id": event["event_id"],
        "status": statuses[event["lamport_clock"] - 1],
        "error": "missing field",
    }
    result = ready.json("sync", "now", code=1)
    assert result["selected"] == sum(result[name] for name in SUMMED) == 5
    assert result["adds_up"] is True
    for group in result["failures"]:
        assert group["count"] == len(group["example_ids"]) == 1
        assert "spec-kitty" in group["remedy"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("success", 0), ("duplicate", 0), ("pending", 0), ("rejected", 1), ("failed_permanent", 1),
     ("failed_transient", 1)],
)  # fmt: skip
def test_exit_code_tells_what_is_left(ready: Desk, receiver: SmallReceiver, status, code):
    """Pending is no error; rejected, refused and failed are."""
    receiver.judge = lambda event: {
        "event_id": event["event_id"], "status": status, "error": "why",
    }  # fmt: skip
    assert ready.run("sync", "now").code == code


def test_report_file_holds_every_failure(ready: Desk, receiver: SmallReceiver, tmp_path: Path):
    """--report writes when, the summary, and id, reason and category of each event that failed."""
    receiver.judge = reject("payload.wp_id is missing", "schema_mismatch")
    ready.run("sync", "now", "--report", str(tmp_path / "report.json"))
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report) == {"generated_at", "summary", "failures"}
    assert [each["event_id"] for each in report["failures"]] == [event_id(n) for n in range(1, 6)]
    assert {(each["error"], each["category"]) for each in report["failures"]} == {
        ("payload.wp_id is missing", "schema_mismatch")
    }
    nowhere = ready.run("sync", "now", "--report", str(tmp_path / "missing" / "x.json"))
    assert nowhere.code == 2
    assert len(receiver.events) == 5


def test_dry_run_sends_nothing_and_says_what_would_go(ready: Desk, receiver: SmallReceiver):
    """--dry-run counts, writes nothing and asks no server."""
    ready.put(make_event(6, project_uuid=None))
    preview = ready.json("sync", "now", "--dry-run", "--limit", "3")
    assert (preview["would_send"], preview["held"]) == (3, {"no_identity": 1})
    assert receiver.events == []
    assert ready.sql("SELECT count(*) FROM delivery_targets") == [(0,)]


def test_redeliver_says_what_is_gone_and_sends_the_rest(ready: Desk, receiver: SmallReceiver):
    """A new epoch sends everything that has bytes again; what gc took is said before."""
    ready.run("sync", "now")
    ready.run("sync", "gc", "--yes")
    ready.put(make_event(6))
    done = ready.run("sync", "now", "--redeliver")
    assert "5 events cannot be sent" in done.err
    assert [event["event_id"] for event in receiver.events[5:]] == [event_id(6)]


def test_target_of_one_run_is_its_own_and_leaves_the_configuration(
    ready: Desk, receiver: SmallReceiver
):
    """--target delivers elsewhere once; config.toml and the other target's ledger stay."""
    with SmallReceiver() as other:
        assert ready.json("sync", "now", "--target", other.url)["delivered"] == 5
        assert ready.json("sync", "now", "--target", "1")["selected"] == 0
        assert len(other.events) == 5
    assert ready.json("sync", "server")["resolved_server_url"] == receiver.url
    assert ready.json("sync", "now")["delivered"] == 5
    assert ready.run("sync", "now", "--target", "9").code == 2


def test_token_of_the_environment_stays_with_the_usual_server(ready: Desk, receiver: SmallReceiver):
    """SPEC_KITTY_TOKEN is for the server that is usually meant, not for one named by --target."""
    receiver.token = "canary-token-78"
    with SmallReceiver() as other:
        other.token = "canary-token-78"
        done = ready.json(
            "sync", "now", "--target", other.url, code=1, SPEC_KITTY_TOKEN="canary-token-78"
        )
        assert done["stop"]["code"] == "auth_expired"
        assert other.events == []
    same = ready.json("sync", "now", "--target", receiver.url, SPEC_KITTY_TOKEN="canary-token-78")
    assert same["delivered"] == 5


def test_one_event_is_one_event_and_two_are_two(desk: Desk, receiver: SmallReceiver):
    """Counts agree with their nouns."""
    desk.put(make_event(1))
    desk.run("sync", "server", receiver.url)
    assert desk.run("sync", "now").out.startswith("1 event to ")
    desk.put(make_event(2), make_event(3))
    assert desk.run("sync", "now").out.startswith("2 events to ")


def test_empty_journal_is_called_empty_not_delivered(ready: Desk):
    """Where journal and log were removed, nobody is told that all was delivered."""
    ready.run("sync", "now")
    for path in ready.home.root.glob("journal.db*"):
        path.unlink()
    result = ready.run("sync", "now")
    assert "delivered" not in result.out.lower()
    assert "is empty" in result.out


def test_never_says_everything_delivered_while_something_is_parked(
    ready: Desk, receiver: SmallReceiver
):
    """Parked events keep the exit code at 1 and are named, run after run."""
    receiver.judge = reject("never", "schema_mismatch", status="failed_permanent")
    ready.run("sync", "now")
    again = ready.run("sync", "now")
    assert again.code == 1
    assert "5 events parked" in again.out
    assert "verything delivered" not in again.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_answer_on_its_way_arrive(
    ready: Desk, receiver: SmallReceiver, number: signal.Signals, code: int
):
    """Ctrl-C and SIGTERM record what is on the wire, then end with 128 + the signal."""
    receiver.go_on.clear()
    environ = {**os.environ, "SPEC_KITTY_HOME": str(ready.home.root)}
    process = subprocess.Popen(
        [sys.executable, "-m", "spec_kitty_sync", "sync", "now", "--json"],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert receiver.arrived.wait(30)
    process.send_signal(number)
    assert process.stderr is not None
    assert "stopping" in process.stderr.readline() + process.stderr.readline()
    receiver.go_on.set()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert json.loads(out)["exit_code"] == code
    assert json.loads(out)["delivered"] == 5
    assert ready.json("sync", "now")["selected"] == 0


def test_usage_errors_are_json_where_json_is_asked_for(desk: Desk):
    """A wrong option with --json still prints one object on stdout, and one line on stderr."""
    done = desk.run("sync", "now", "--limit", "many", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert done.err.count("\n") == 1
    assert done.err.startswith("error: ")
    refused = desk.run("sync", "now", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (2, "no_target")


@pytest.mark.parametrize("status", [404, 501])
def test_page_for_browsers_is_named_once_and_the_address_suspected(
    ready: Desk, receiver: SmallReceiver, status: int
):
    """An HTML answer is not quoted: its status, what it is, and how to change the address."""
    receiver.page = (status, b"\n<!DOCTYPE html><html><body>Error code explanation</body></html>")
    done = ready.run("sync", "now")
    assert done.code == 1
    assert done.out.count("an HTML page") == 1
    assert "Error code" not in done.out
    assert "Check the address; `spec-kitty sync server URL`" in done.out


def test_remedies_of_a_run_with_a_target_name_it_again(ready: Desk):
    """After `--target`, a plain `sync now` would go elsewhere: the remedy says so."""
    there = "http://127.0.0.1:9"
    again = f"`spec-kitty sync now --target {there}`"
    done = ready.json("sync", "now", "--target", there, code=1)
    assert again in done["stop"]["remedy"]
    assert again in " ".join(ready.run("sync", "now", "--target", there).out.split())


def test_events_that_the_server_still_thinks_about_say_when_to_ask(
    ready: Desk, receiver: SmallReceiver
):
    """Accepted and not settled: who has them and when to run again is said, in later runs too."""
    receiver.judge = lambda event: {"event_id": event["event_id"], "status": "pending"}
    for _ in range(2):
        done = ready.run("sync", "now")
        assert done.code == 0
        assert "5 of these: the server has them" in done.out
        assert "`spec-kitty sync now` again when they are due, in " in done.out
    assert done.out.startswith("Nothing to send now.")


@pytest.mark.parametrize("typed", ["127.0.0.1:8000", "localhost:8000/", "[::1]"])
def test_address_on_this_machine_without_scheme_is_offered_with_one(desk: Desk, typed: str):
    """Who leaves http:// out for a loopback address is told to write it, not https://HOST."""
    done = desk.run("sync", "server", typed)
    assert done.code == 2
    assert f"`spec-kitty sync server http://{typed}`" in done.err
    assert desk.run("sync", "server", f"http://{typed}").code == 0
    assert "https://HOST" in desk.run("sync", "server", "me:secret@127.0.0.1").err


def test_debug_log_has_no_token(ready: Desk, receiver: SmallReceiver):
    """--debug writes a private log in the home, without the token."""
    receiver.token = f"{CANARY}-77"
    done = ready.run("--debug", "sync", "now", SPEC_KITTY_TOKEN=f"{CANARY}-77")
    assert done.code == 0
    log = ready.home.root / "debug.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.stat().st_size
    assert "canary" not in log.read_text()


def test_report_to_something_that_is_no_file_leaves_it_there(desk, receiver):
    """A device or a pipe named by --report is written to, and not replaced by a file."""
    pipe = desk.root / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        desk.put(make_event(1))
        assert desk.run("sync", "server", receiver.url).code == 0
        assert desk.run("sync", "now", "--report", str(pipe)).code == 0
        assert pipe.is_fifo()
        assert json.loads(os.read(reader, 65_536))["failures"] == []
    finally:
        os.close(reader)
