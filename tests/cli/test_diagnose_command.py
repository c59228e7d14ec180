"""`spec-kitty diagnose` as an operator runs it: output, streams, exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from legacy_homes import extract

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.cli.main import run as cli_run
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

ROOT = Path(__file__).parents[2]
GOOD = {
    "event_id": "01KA0000000000000000000001",
    "event_type": "HistoryAdded",
    "aggregate_id": "WP01",
    "aggregate_type": "WorkPackage",
    "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": "x"},
    "timestamp": "2026-02-12T10:00:00Z",
    "node_id": "a1b2c3d4e5f6",
    "lamport_clock": 1,
    "correlation_id": "01KA0000000000000000000000",
    "project_uuid": "550e8400-e29b-41d4-a716-446655440000",
}
HOSTILE = "\x1b[31mred\x1b[0m \u202egnirts \x07\x9b2J\r\nnew line \ud800"


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run(*arguments: object, stdin: bytes = b"") -> Done:
    """Run the command in this process, with streams as a pipe gives them."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            cli_run(["diagnose", *map(str, arguments)])
    finally:
        sys.stdin = before
    out.flush()
    err.flush()
    code = ended.value.code
    assert isinstance(code, int)
    return Done(code, out.buffer.getvalue(), err.buffer.getvalue())


def lines(*events: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A file with a valid event, one without identity, an invalid one and a line of garbage."""
    path = tmp_path / "mixed.jsonl"
    nobody = {**GOOD, "event_id": "01KA0000000000000000000002", "project_uuid": None}
    broken = {**GOOD, "event_id": "01KA0000000000000000000003", "lamport_clock": -1}
    path.write_bytes(lines(GOOD, nobody, broken) + b"garbage\n")
    return path


@pytest.fixture
def bad_rows(tmp_path: Path) -> Path:
    home = tmp_path / "bad"
    extract("i-bad-rows", home)
    return home


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [
        (lines(GOOD), [], 0),
        (b"", [], 0),
        (lines({**GOOD, "project_uuid": None}), [], 0),
        (lines({**GOOD, "project_uuid": None}), ["--strict"], 1),
        (lines({}), [], 1),
        (b"\xff\n", [], 1),
        (lines({**GOOD, "event_type": "Odd"}), [], 1),
        (lines({**GOOD, "event_type": "Odd"}), ["--allow-unknown"], 0),
        (lines(GOOD), ["--packs", "core"], 0),
        (lines(GOOD), ["--packs", "cor"], 2),
        (lines(GOOD), ["--json", "--jsonl"], 2),
        (lines(GOOD), ["--json", "--fix-plan"], 2),
        (lines(GOOD), ["--only", "nothing"], 2),
        (lines(GOOD), ["--limit", "-1"], 2),
        (b"\x1f\x8bbroken", [], 3),
    ],
)
def test_exit_code_says_what_the_operator_must_know(
    content: bytes, options: list[str], code: int
) -> None:
    """0 all valid, 1 something invalid, 2 usage, 3 an input that could not be read."""
    assert run("-", *options, stdin=content).returncode == code


def test_missing_file_is_an_input_that_could_not_be_read(tmp_path: Path) -> None:
    """A path that leads nowhere ends with 3 and is named; nothing is created."""
    done = run(tmp_path / "gone.jsonl")
    assert done.returncode == 3
    assert b"gone.jsonl" in done.stdout
    assert b"Check the path." in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_object_that_the_published_schema_describes(mixed: Path) -> None:
    """`--json` prints one object: counts, results in order, sources and causes."""
    done = run(mixed, "--json")
    report = json.loads(done.stdout)
    schema = json.loads((ROOT / "schemas" / "diagnose-report.schema.json").read_bytes())
    jsonschema.Draft202012Validator(schema).validate(report)
    assert report["source"] == str(mixed)
    summary = report["summary"]
    assert [summary[k] for k in ("total", "valid", "warnings", "invalid", "unreadable")] == [
        4, 2, 1, 1, 1,
    ]  # fmt: skip
    assert [each["row"] for each in report["results"]] == [1, 2, 3, 4]
    assert report["results"][2]["errors"]
    assert report["results"][3]["event_id"] is None
    assert summary["by_code"] == {"json_syntax": 1, "no_identity": 1, "out_of_range": 1}
    assert done.returncode == 1
    assert done.stderr == b""


def test_json_stays_one_object_when_a_source_cannot_be_read(mixed: Path, tmp_path: Path) -> None:
    """A source that fails is part of the object, beside the others."""
    done = run(tmp_path / "gone.db", mixed, "--json")
    report = json.loads(done.stdout)
    assert [each["problem"] is None for each in report["sources"]] == [False, True]
    assert done.returncode == 3


def test_jsonl_is_one_result_a_line_and_nothing_else(mixed: Path) -> None:
    """`--jsonl` keeps stdout to results; the counts go to stderr."""
    done = run(mixed, "--jsonl")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["valid"] for each in results] == [True, True, False, False]
    assert b"4 events" in done.stderr


def test_jsonl_tells_problem_and_remedy_on_lines_of_their_own(tmp_path: Path) -> None:
    """What could not be read goes to stderr, line by line, with what helps."""
    done = run(tmp_path / "gone.jsonl", "--jsonl")
    assert done.stdout == b""
    lines = done.stderr.decode().splitlines()
    assert lines[1].endswith("gone.jsonl: there is no such file")
    assert lines[2] == "  Check the path."


@pytest.mark.parametrize(("only", "rows"), [("invalid", [3, 4]), ("warnings", [2]), ("valid", [1])])
def test_only_lists_one_verdict_and_counts_all(mixed: Path, only: str, rows: list[int]) -> None:
    """`--only` chooses which results are listed; the counts stay those of everything."""
    report = json.loads(run(mixed, "--json", "--only", only).stdout)
    assert [each["row"] for each in report["results"]] == rows
    assert report["summary"]["total"] == 4


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_limit_lists_fewer_and_counts_all(mixed: Path, limit: int) -> None:
    """`--limit` bounds the listed results; every event is judged and counted."""
    report = json.loads(run(mixed, "--json", "--limit", limit).stdout)
    assert len(report["results"]) == limit
    assert report["summary"]["total"] == 4


def test_fix_plan_says_what_to_do_and_does_nothing(bad_rows: Path) -> None:
    """`--fix-plan` prints numbered steps, the import of old queues first, and changes no byte."""
    before = {p: p.read_bytes() for p in bad_rows.rglob("*") if p.is_file()}
    done = run("--home", bad_rows, "--fix-plan")
    steps = re.findall(r"^([0-9]+)\. ", done.stdout.decode(), re.MULTILINE)
    assert steps == [str(number) for number in range(1, 13)]
    assert done.stdout.startswith(b"1. Old queues are imported with `spec-kitty sync migrate`")
    assert done.returncode == 1
    assert {p: p.read_bytes() for p in bad_rows.rglob("*") if p.is_file()} == before


def test_standard_input_is_judged(mixed: Path) -> None:
    """`-` reads what another program writes."""
    done = run("-", stdin=mixed.read_bytes())
    assert done.returncode == 1
    assert b"4 events: 2 valid (1 with warnings), 1 invalid, 1 unreadable." in done.stdout


def test_text_gives_each_cause_one_remedy_within_80_columns(bad_rows: Path) -> None:
    """The table groups by cause, each with its remedy, and no line is wider than 80 columns."""
    done = run("--home", bad_rows)
    text = done.stdout.decode()
    assert done.returncode == 1
    assert max(map(len, text.splitlines())) <= 80
    causes = re.findall("(?:error|warning) [a-z_]+: ", text)
    assert len(causes) == sum(line.strip().startswith("→") for line in text.splitlines()) == 13
    assert "queue-21921a051ce88219.db row 17" in text
    assert "\x1b" not in text


def test_text_lists_events_when_asked(mixed: Path) -> None:
    """`--only invalid` names each invalid event with its row and every finding."""
    text = run(mixed, "--only", "invalid").stdout.decode()
    assert "01KA0000000000000000000003" in text
    assert "(no id)" in text
    assert "01KA0000000000000000000001" not in text


@pytest.mark.parametrize("options", [[], ["--only", "invalid"], ["--json"], ["--jsonl"]])
def test_hostile_fields_reach_no_terminal(options: list[str]) -> None:
    """Escapes, bidi overrides and line breaks in any field are shown, never sent."""
    hostile = {
        **GOOD, "event_id": HOSTILE, "event_type": HOSTILE, "node_id": {HOSTILE: HOSTILE},
        "payload": {"wp_id": HOSTILE, HOSTILE: HOSTILE},
    }  # fmt: skip
    raw = lines(hostile, {**GOOD, "event_type": HOSTILE[:-1], "node_id": ""})
    done = run("-", *options, stdin=raw)
    assert done.returncode == 1
    out = (done.stdout + done.stderr).decode()
    for character in "\x1b\x07\x9b\u202e\r":
        assert character not in out
    assert "Traceback" not in out


def test_hostile_file_name_reaches_no_terminal(tmp_path: Path) -> None:
    """A file name with escapes and bytes that are no UTF-8 is shown escaped."""
    path = tmp_path / os.fsdecode(b"\x1b[31m\xff.jsonl")
    path.write_bytes(lines({}))
    for options in ([], ["--json"], ["--only", "invalid"]):
        done = run(path, *options)
        assert done.returncode == 1
        assert b"\x1b" not in done.stdout
        assert b"\xff" not in done.stdout


@pytest.mark.parametrize("options", ["--jsonl", "--only valid --limit 20000"])
def test_reader_that_goes_away_is_no_error(options: str, tmp_path: Path) -> None:
    """`diagnose … | head -1` ends quietly: what was judged is judged."""
    path = tmp_path / "many.jsonl"
    path.write_bytes(lines(*[GOOD] * 3000))
    command = f"{sys.executable} -m spec_kitty_sync diagnose {path} {options}"
    piped = ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(piped, capture_output=True, timeout=60, check=False)
    assert done.stdout.count(b"\n") == 1
    assert (done.returncode, done.stderr) == (0, b"")


def test_home_with_journal_and_queues_is_judged_by_source_and_untouched(tmp_path: Path) -> None:
    """Without a path the journal and all four queues of a real home are judged, none changed."""
    home = tmp_path / "home"
    extract("natural-2.1.3", home)
    before = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    with open_home(Home(home)) as store:
        journal = SqliteJournal(store, clock=ManualClock())
        journal.append(admit(json.dumps(GOOD).encode(), registry=default_registry()))

    done = run("--home", home, "--json", "--only", "invalid")

    report = json.loads(done.stdout)
    counts = {Path(s["source"]).name: s["summary"]["total"] for s in report["sources"]}
    assert counts == {
        "journal.db": 1,
        "queue.db": 106,
        "queue-21921a051ce88219.db": 123,
        "queue-42b7a9fd8bfc4900.db": 38,
        "queue-53cbd6ea1b561bc0.db": 60,
    }
    assert (done.returncode, report["results"]) == (0, [])
    assert {p: p.read_bytes() for p in before} == before
    added = {p.name for p in home.rglob("*") if p.is_file()} - {p.name for p in before}
    assert {name.partition("-")[0].partition(".")[0] for name in added} <= {"journal"}


def test_empty_home_says_so(tmp_path: Path) -> None:
    """Without journal and queues there is nothing to judge, and that is said."""
    done = run("--home", tmp_path / "none")
    assert done.returncode == 0
    assert b"Nothing to judge" in done.stdout
    assert not (tmp_path / "none").exists()


def test_unreadable_source_is_named_with_its_remedy(tmp_path: Path) -> None:
    """The table of what could not be read gives a reason and a command for each."""
    home = tmp_path / "home"
    (home / "queues").mkdir(parents=True)
    (home / "queues" / "queue-0123456789abcdef.db").write_bytes(b"SQLite format 3\x00garbage" * 99)
    done = run("--home", home)
    assert done.returncode == 3
    assert b"queues/queue-0123456789abcdef.db" in done.stdout
    assert "→".encode() in done.stdout


def test_works_without_a_network(mixed: Path, tmp_path: Path) -> None:
    """Judging opens no socket and loads no HTTP client."""
    probe = (
        "import sys, socket\n"
        "def refuse(*a, **k): raise AssertionError('a socket was opened')\n"
        "socket.socket.connect = refuse\n"
        "from spec_kitty_sync.cli.main import run\n"
        "try: run(sys.argv[1:])\n"
        "finally: assert 'httpx' not in sys.modules, 'httpx was loaded'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, "diagnose", str(mixed)], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")


def test_schemas_make_a_type_known(tmp_path: Path) -> None:
    """A type described by a JSON Schema in DIR is known and its payload judged by it."""
    folder = tmp_path / "types"
    folder.mkdir()
    schema = {"type": "object", "required": ["colour"]}
    (folder / "WallPainted.schema.json").write_text(json.dumps(schema))
    painted = {**GOOD, "event_type": "WallPainted"}
    raw = lines({**painted, "payload": {"colour": "red"}}, {**painted, "payload": {}})
    known = json.loads(run("-", "--schemas", folder, "--json", stdin=raw).stdout)
    assert [each["valid"] for each in known["results"]] == [True, False]
    assert known["results"][1]["findings"][0]["path"] == "/payload/colour"
    unknown = json.loads(run("-", "--json", stdin=raw).stdout)
    assert unknown["summary"]["by_code"] == {"unknown_event_type": 2}


def test_broken_schema_directory_is_refused(tmp_path: Path) -> None:
    """A directory without schemas is refused before anything is judged."""
    assert run("-", "--schemas", tmp_path, stdin=lines(GOOD)).returncode == 2


def test_last_line_says_how_many_can_be_sent_and_why_others_stay() -> None:
    """Valid is one thing, leaving the machine another: both are counted, in text and in JSON."""
    events = [
        {**GOOD, "event_id": f"01KA00000000000000000000{number}", **changes}
        for number, changes in (
            (10, {}),
            (11, {"lamport_clock": -1}),
            (12, {"project_uuid": None}),
            (13, {"data_tier": 0}),
            (14, {"schema_version": "9.0.0"}),
        )
    ]
    text = run("-", stdin=lines(*events) + b"garbage\n").stdout.decode()
    last = " ".join(text.split("invalid, 1 unreadable.")[1].split())
    assert last.startswith("2 can be sent, 3 cannot leave this machine: 1 ")
    assert {each.strip(".") for each in last.split(": ")[1].split(", ")} == {
        "1 local_only", "1 no_identity", "1 schema_version_unsupported",
    }  # fmt: skip
    report = json.loads(run("-", "--json", stdin=lines(*events)).stdout)
    assert report["summary"]["by_hold"] == {
        "local_only": 1, "no_identity": 1, "schema_version_unsupported": 1,
    }  # fmt: skip
    assert run("-", stdin=lines(GOOD)).stdout.decode().endswith("\n1 can be sent.\n")
