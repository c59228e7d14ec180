"""The commands: exit codes, one JSON object, and remedies that work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from legacy_homes import (
    contents,
    event,
    holds_of,
    journal_of,
    unpack,
    write_queue,
    write_rows,
)


def spec_kitty(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as an operator would."""
    return subprocess.run(
        [sys.executable, "-m", "spec_kitty_sync", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("SPEC_KITTY")},
            "SPEC_KITTY_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
    )


def test_migrate_prints_the_promised_json_object(tmp_path: Path) -> None:
    """`--json` gives exactly the keys of the contract on stdout, and nothing on stderr."""
    home = unpack("c-divergent", tmp_path)
    ran = spec_kitty(home, "sync", "migrate", "--json")
    found = json.loads(ran.stdout)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert list(found) == [
        "imported",
        "duplicates",
        "conflicts",
        "quarantined",
        "sources",
        "notes",
    ]
    assert list(found["sources"][0]) == [
        "path",
        "outcome",
        "rows",
        "imported",
        "duplicates",
        "conflicts",
        "quarantined",
        "reason",
        "remedy",
    ]
    assert (found["imported"], found["duplicates"], found["conflicts"]) == (20, 15, 5)


def test_operator_gets_from_a_troubled_home_to_a_clean_one(tmp_path: Path) -> None:
    """Following the printed commands alone ends with exit code 0 and nothing waiting."""
    home = tmp_path / "home"
    write_queue(home / "queue.db", [event(1), event(2)])
    write_queue(home / "queues" / "queue-aa.db", [event(1, aggregate_id="WP9\x1b[2J")])
    write_rows(home / "queues" / "queue-bb.db", [("a", "[]")])
    (home / "queues" / "odd name.db").write_bytes(b"junk")
    first = spec_kitty(home, "sync", "migrate")
    assert first.returncode == 3
    assert "conflicts list" in first.stdout
    assert "quarantine list" in first.stdout
    shown = spec_kitty(home, "sync", "migrate", "conflicts", "show", str(event(1)["event_id"]))
    assert "\x1b" not in shown.stdout
    assert spec_kitty(home, "sync", "migrate", "conflicts", "list").returncode == 1
    assert spec_kitty(home, "sync", "migrate", "quarantine", "list").returncode == 1
    ways = [
        ("conflicts", "resolve", "--all", "--keep", "journal"),
        ("quarantine", "accept", "--all", "--reason", "known"),
        ("sources", "ignore", str(home / "queues" / "odd name.db"), "--reason", "junk"),
        (),
        ("--cleanup", "--yes"),
    ]
    for way in ways:
        ran = spec_kitty(home, "sync", "migrate", *way)
        assert ran.returncode == 0, (way, ran.stdout, ran.stderr)
    assert holds_of(home) == {}
    status = json.loads(spec_kitty(home, "sync", "status", "--json").stdout)
    assert status["legacy_sources"]["waiting"] == 0


def test_cleanup_without_a_terminal_needs_yes(tmp_path: Path) -> None:
    """Nothing is deleted unless somebody said so."""
    write_queue(tmp_path / "queue.db", [event(1)])
    ran = spec_kitty(tmp_path, "sync", "migrate", "--cleanup")
    assert ran.returncode == 2
    assert "--yes" in ran.stderr
    assert not (tmp_path / "journal.db").exists()


def test_looking_commands_write_nothing(tmp_path: Path) -> None:
    """Lists and dry runs of a home without journal leave it as it is."""
    write_queue(tmp_path / "queue.db", [event(1)])
    for arguments in (
        ("--dry-run",),
        ("conflicts", "list"),
        ("quarantine", "list"),
        ("sources", "list"),
    ):
        assert spec_kitty(tmp_path, "sync", "migrate", *arguments).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["queue.db"]


def test_arguments_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    """Contradicting options are a usage error with a remedy, before anything is written."""
    write_queue(tmp_path / "queue.db", [event(1)])
    for arguments in (
        ("--dry-run", "--cleanup"),
        ("--scope", "nonsense"),
        ("conflicts", "resolve", "--keep", "journal"),
        ("quarantine", "accept"),
        ("conflicts", "show", "X"),
    ):
        ran = spec_kitty(tmp_path, "sync", "migrate", *arguments)
        assert ran.returncode == 2, arguments
        assert ran.stderr
    assert not (tmp_path / "journal.db").exists()


def test_two_migrations_started_at_once_end_as_one(tmp_path: Path) -> None:
    """Concurrent runs serialise: every event once, one provenance row each, both clean."""
    write_queue(tmp_path / "queue.db", [event(n) for n in range(300)])
    write_queue(tmp_path / "queues" / "queue-aa.db", [event(n) for n in range(200, 500)])
    arguments = [sys.executable, "-m", "spec_kitty_sync", "sync", "migrate", "--json"]
    environment = {
        **os.environ,
        "SPEC_KITTY_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    started = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    reports = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert sorted(report["imported"] for report in reports) == [0, 0, 500]
    assert len(journal_of(tmp_path)) == 500
    assert len(contents(tmp_path)["provenance"]) == 600
