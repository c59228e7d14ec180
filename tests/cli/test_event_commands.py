"""Single events and what is kept: show, retry, replace, discard, gc, archive, export, restore."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from canary import CANARY
from desk import PROJECT, Desk, event_id, make_event
from small_receiver import SmallReceiver, accept, reject

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

HOSTILE = "\x1b[2J\u202eevil\nline"


@pytest.fixture
def refused(desk: Desk, receiver: SmallReceiver) -> Desk:
    """A desk whose three events the server refused for good."""
    desk.put(*(make_event(number) for number in range(1, 4)))
    desk.run("sync", "server", receiver.url)
    receiver.judge = reject("no such field", "schema_mismatch", status="failed_permanent")
    desk.run("sync", "now")
    receiver.judge = accept
    return desk


def test_show_tells_all_that_is_known_of_one_event(refused: Desk, receiver: SmallReceiver):
    """Envelope, journal facts, and what each target was told, with its reason."""
    view = refused.json("sync", "show", event_id(1))
    assert view["envelope"] == make_event(1)
    assert [(t["url"], t["state"], t["reason"]) for t in view["targets"]] == [
        (receiver.url, "terminal_failed", "no such field")
    ]
    assert json.loads(refused.run("sync", "show", event_id(1), "--raw").out) == make_event(1)
    assert refused.run("sync", "show", "01KANOTHERE").code == 2


def test_retry_puts_back_what_is_named_and_nothing_else(refused: Desk, receiver: SmallReceiver):
    """By id, by state, by category; without a choice it is refused."""
    assert refused.run("sync", "retry").code == 2
    assert refused.json("sync", "retry", event_id(1))["put_back"] == 1
    assert refused.json("sync", "now", code=1)["delivered"] == 1
    assert refused.json("sync", "retry", "--category", "other")["put_back"] == 0
    assert refused.json("sync", "retry", "--terminal")["put_back"] == 2
    assert refused.json("sync", "now")["delivered"] == 2
    assert refused.json("sync", "retry", event_id(1)) == {
        "put_back": 0, "target": receiver.url, "left": {event_id(1): "delivered"},
    }  # fmt: skip


def test_replace_takes_many_events_from_one_file(refused: Desk, tmp_path: Path):
    """One corrected event a line; ids stay, old bytes are in the audit, all are sent again."""
    lines = [json.dumps(make_event(n, aggregate_id="WP77")) for n in (1, 2)]
    unknown = json.dumps(make_event(9))
    (tmp_path / "fixed.jsonl").write_text("\n".join([*lines, unknown]) + "\n")
    done = refused.json("sync", "replace", "--file", str(tmp_path / "fixed.jsonl"), code=1)
    assert done["replaced"] == [event_id(1), event_id(2)]
    assert done["refused"][0]["event_id"] == event_id(9)
    view = refused.json("sync", "show", event_id(1))
    assert view["envelope"]["aggregate_id"] == "WP77"
    assert [each["action"] for each in view["corrections"]] == ["replace"]
    assert refused.json("sync", "now", code=1)["delivered"] == 2


def test_delivered_events_are_neither_replaced_nor_discarded(
    refused: Desk, receiver: SmallReceiver, tmp_path: Path
):
    """What a target has accepted stays as it is."""
    refused.run("sync", "retry", "--terminal")
    refused.run("sync", "now")
    (tmp_path / "other.json").write_text(json.dumps(make_event(1, aggregate_id="WP77")))
    for arguments in (
        ("replace", event_id(1), "--file", str(tmp_path / "other.json")),
        ("discard", event_id(1), "--reason", "x", "--yes"),
    ):
        done = refused.json("sync", *arguments, code=2)
        assert done["error"]["code"] == "event_conflict"


def test_gc_only_shows_until_somebody_says_yes(refused: Desk):
    """Without --yes nothing goes; what is parked or local goes only when it is named."""
    refused.put(make_event(5, data_tier=0))
    refused.run("sync", "retry", event_id(1))
    refused.run("sync", "now")
    before = refused.json("sync", "gc")
    assert (before["events"], before["dry_run"]) == (1, True)
    assert refused.json("sync", "status")["event_journal"]["archived_event_count"] == 0
    assert refused.json("sync", "gc", "--yes", "--older-than", "1h")["events"] == 0
    assert refused.json("sync", "gc", "--yes")["events"] == 1
    assert refused.json("sync", "gc", "--dead", "--yes")["events"] == 2
    assert refused.json("sync", "gc", "--local-only", "--yes", "--vacuum")["events"] == 1
    assert refused.json("sync", "status")["event_journal"]["retained_event_count"] == 0
    assert refused.run("sync", "gc", "--older-than", "soon").code == 2


def test_archive_writes_the_events_before_their_bytes_go(refused: Desk, tmp_path: Path):
    """The file holds exactly what was delivered; a file that exists is not overwritten."""
    refused.run("sync", "retry", "--terminal")
    refused.run("sync", "now")
    target = tmp_path / "old.jsonl.gz"
    assert refused.json("sync", "archive", str(target), "--yes")["events"] == 3
    with gzip.open(target, "rt") as stream:
        assert [json.loads(line) for line in stream] == [make_event(n) for n in (1, 2, 3)]
    assert refused.run("sync", "archive", str(target), "--yes").code == 2


def test_export_is_the_way_out_for_everything(refused: Desk, tmp_path: Path):
    """Every event that has bytes is a line, held and parked ones too, in journal order."""
    refused.put(make_event(8, project_uuid=None))
    done = refused.run("sync", "export", "--jsonl", str(tmp_path / "all.jsonl"))
    assert done.code == 0
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert [json.loads(line)["event_id"] for line in lines] == [event_id(n) for n in (1, 2, 3, 8)]


def test_backup_and_restore_bring_everything_back(refused: Desk, receiver: SmallReceiver):
    """After a restore every event is there, newer ones too, and is delivered under its id."""
    copy = refused.root / "copy.db"
    assert refused.json("sync", "backup", str(copy))["events"] == 3
    refused.put(make_event(4))
    done = refused.json("sync", "restore", str(copy), "--yes")
    assert (done["events"], done["carried_over"]) == (3, 1)
    assert refused.json("sync", "now")["delivered"] == 4
    assert refused.run("sync", "verify").code == 0


def test_verify_finds_a_changed_byte(refused: Desk):
    """Damage ends with 3 and names the event."""
    refused.sql("UPDATE event_journal SET body_sha256 = zeroblob(32) WHERE seq = 2")
    done = refused.run("sync", "verify")
    assert done.code == 3
    assert event_id(2) in done.out


def test_verify_recounts_what_the_journal_counts(refused: Desk):
    """A count that its rows do not bear out ends with 3 and says both numbers."""
    assert refused.run("sync", "verify").code == 0
    refused.sql("UPDATE event_journal_count SET events = events + 5")
    done = refused.run("sync", "verify")
    assert done.code == 3
    assert "are counted" in done.out


def test_targets_are_listed_retired_and_restored(refused: Desk, receiver: SmallReceiver):
    """A retired target keeps its history, is not sent to, and does not hold gc up."""
    assert refused.json("sync", "targets", "retire", receiver.url)["active"] is False
    assert refused.json("sync", "now", code=2)["error"]["code"] == "delivery_blocked"
    assert refused.json("sync", "targets", "show", "1")["summary"]["active"] is False
    assert refused.json("sync", "targets", "restore", "1")["active"] is True
    assert refused.run("sync", "targets", "retire", "7").code == 2


def test_doctor_is_one_page_without_secrets(refused: Desk, receiver: SmallReceiver):
    """The page has every part, names the SQLite version, and no token from anywhere."""
    receiver.token = f"{CANARY}-5521"
    done = refused.run("sync", "doctor", SPEC_KITTY_TOKEN=f"{CANARY}-5521")
    assert done.code == 3
    for heading in ("status", "checks", "undelivered events", "would do", "last answers"):
        assert heading in done.out
    assert "SQLite" in done.out
    assert "canary" not in done.out + done.err
    document = refused.run("sync", "doctor", "--json", SPEC_KITTY_TOKEN=f"{CANARY}-5521")
    assert "canary" not in document.out


def test_hostile_ids_and_reasons_stay_on_their_line(desk: Desk, receiver: SmallReceiver):
    """Terminal escapes, bidi overrides and line breaks are shown as text."""
    desk.put(make_event(1), make_event(2, event_id=f"id{HOSTILE}"))
    desk.run("sync", "server", receiver.url)
    receiver.judge = reject(f"why {HOSTILE}", f"cat{HOSTILE}", status="failed_permanent")
    for arguments in (
        ("sync", "now", "-v"),
        ("sync", "status"),
        ("sync", "show", event_id(1)),
        ("sync", "show", f"id{HOSTILE}"),
        ("sync", "show", "--held", "invalid_id"),
        ("sync", "show", "--state", "terminal_failed"),
        ("sync", "doctor"),
    ):
        printed = desk.run(*arguments)
        assert "\x1b" not in printed.out + printed.err, arguments
        assert "\u202e" not in printed.out + printed.err, arguments
        assert "\nline" not in printed.out, arguments


SCREENS = [
    ("sync", "status", "--check"), ("sync", "now"), ("sync", "show", event_id(1)),
    ("sync", "show", "--state", "terminal_failed"), ("sync", "targets", "list"), ("sync", "log"),
    ("sync", "gc"), ("sync", "verify"), ("sync", "doctor"), ("sync", "--help"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", SCREENS, ids=" ".join)
def test_screens_fit_80_columns_in_a_pipe_without_colour(refused: Desk, arguments: tuple[str, ...]):
    """In a pipe no line is longer than 80 columns, apart from long words, and none has colour."""
    printed = refused.run(*arguments).out
    assert "\x1b" not in printed
    for line in printed.splitlines():
        words = line.split()
        assert len(line) <= 80 or any(len(word) > 40 for word in words), line


def at_terminal(arguments: list[str], environ: dict[str, str]) -> str:
    """Run a command at a pseudo-terminal and return what it printed."""
    import pty

    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "spec_kitty_sync", *arguments], env=environ, stdin=child,
        stdout=child, stderr=child,
    )  # fmt: skip
    os.close(child)
    printed = b""
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:
            break
        if not data:
            break
        printed += data
    process.wait(30)
    os.close(parent)
    return printed.decode()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_no_color_takes_colours_away_at_a_terminal(refused: Desk):
    """NO_COLOR is heard; without it, what needs attention is in colour."""
    environ = {**os.environ, "SPEC_KITTY_HOME": str(refused.home.root), "TERM": "xterm-256color"}
    colour = re.compile(r"\x1b\[[0-9;]*m")
    assert colour.search(at_terminal(["sync", "status"], environ))
    assert not colour.search(at_terminal(["sync", "status"], {**environ, "NO_COLOR": "1"}))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_is_there(shell: str, desk: Desk):
    """The completion script of each shell is printed."""
    done = subprocess.run(
        [sys.executable, "-c", "from spec_kitty_sync.cli.main import run; run()"],
        env={**os.environ, "_SPEC_KITTY_COMPLETE": f"{shell}_source"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "spec-kitty" in done.stdout


def test_status_loads_no_heavy_library(refused: Desk):
    """`sync status` starts without httpx, pydantic, rich, jsonschema or a YAML library."""
    code = (
        "import sys\n"
        "from spec_kitty_sync.cli.main import run\n"
        "try: run(['sync', 'status'])\n"
        "except SystemExit: pass\n"
        "heavy = {'httpx', 'pydantic', 'rich', 'jsonschema', 'ulid', 'ruamel', 'filelock',"
        " 'tomlkit'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "SPEC_KITTY_HOME": str(refused.home.root)},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_raw_list_is_every_held_event_as_json_lines_for_one_replace(
    desk: Desk, receiver: SmallReceiver, tmp_path: Path
):
    """`show --held … --raw` writes all, one a line, and `replace --file` takes them back."""
    broken = [make_event(number, project_uuid=None) for number in range(1, 31)]
    desk.put(*broken)
    desk.run("sync", "server", receiver.url)
    done = desk.run("sync", "show", "--held", "no_identity", "--raw")
    assert [json.loads(line) for line in done.out.splitlines()] == broken
    few = desk.run("sync", "show", "--held", "no_identity", "--raw", "--limit", "2")
    assert few.out.splitlines() == done.out.splitlines()[:2]
    mended = [json.dumps({**event, "project_uuid": PROJECT}) for event in broken]
    (tmp_path / "held.jsonl").write_text("\n".join(mended))
    desk.run("sync", "replace", "--file", str(tmp_path / "held.jsonl"))
    assert desk.json("sync", "now")["delivered"] == 30


def test_raw_list_keeps_one_line_for_an_event_of_many(desk: Desk):
    """An event that is stored over several lines is one line of the list."""
    event = make_event(1, project_uuid=None)
    with open_home(desk.home) as store:
        body = json.dumps(event, indent=2).encode()
        SqliteJournal(store, clock=SystemClock()).append(admit(body, registry=default_registry()))
    (line,) = desk.run("sync", "show", "--held", "no_identity", "--raw").out.splitlines()
    assert json.loads(line) == event


def test_held_event_says_its_reason_beside_the_target_too(desk: Desk, receiver: SmallReceiver):
    """Nowhere stands "no reason given" while the reason is known."""
    desk.put(make_event(1, project_uuid=None))
    desk.run("sync", "server", receiver.url)
    desk.run("sync", "now")
    shown = desk.run("sync", "show", event_id(1)).out
    assert "no_identity: without project identity" in shown
    assert "no reason given" not in shown


@pytest.mark.parametrize("named", [True, False])
def test_replace_names_file_and_line_that_are_no_json(refused: Desk, tmp_path: Path, named: bool):
    """What is no JSON is called so, with its place, and diagnose is led there."""
    path = tmp_path / "bad.json"
    path.write_text("oops" if named else json.dumps(make_event(1)) + "\n\noops\n")
    done = refused.run("sync", "replace", *[event_id(1)][:named], "--file", str(path))
    assert done.code == 2
    assert f"{path}: not JSON: " in done.err if named else f"{path} line 3: not JSON: " in done.err
    assert f"`spec-kitty diagnose {path}`" in done.err
    assert refused.json("sync", "show", event_id(1))["corrections"] == []


def test_misspelt_event_type_is_named_with_the_right_one(desk: Desk):
    """Options or not, a type that nobody knows is refused with the one that was meant."""
    for options in ((), ("--wp-id", "WP01")):
        done = desk.run("emit", "WPCreatd", *options)
        assert done.code == 2
        assert "unknown event type WPCreatd — Did you mean WPCreated?" in done.err
    own = desk.run("emit", "Zebra")
    assert own.code == 2
    assert "ean" not in own.err
