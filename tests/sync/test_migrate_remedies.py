"""Every command that a message names works: the complaint is gone after it."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from legacy_homes import event, settings_of, unpack, write_queue, write_rows

from spec_kitty_sync.cli.main import cli
from spec_kitty_sync.sync.migrate_home import looking, migrate
from spec_kitty_sync.sync.migrate_report import SourceReport
from spec_kitty_sync.sync.migrate_sources import waiting


def _odd_name(home: Path) -> None:
    write_queue(home / "queues" / "queue (copy) of 'mine'.db", [event(1)])


def _link(home: Path) -> None:
    target = write_queue(home.parent / "elsewhere" / "real queue.db", [event(1)])
    home.mkdir(parents=True, exist_ok=True)
    (home / "queue.db").symlink_to(target)


def _dangling(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "queue.db").symlink_to("/nonexistent")


def _folder(home: Path) -> None:
    (home / "queue.db").mkdir(parents=True)


def _text(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "queue.db").write_bytes(b"no database" * 500)


def _foreign(home: Path) -> None:
    home.mkdir(parents=True)
    with closing(sqlite3.connect(home / "queue.db")) as conn, conn:
        conn.execute("CREATE TABLE bookmarks (url)")
        conn.execute("INSERT INTO bookmarks VALUES ('x')")


def _damaged(home: Path) -> None:
    unpack("d-corrupt", home.parent / "sample")
    (home / "queues").mkdir(parents=True)
    damaged = "queues/queue-00000000000000d4.db"
    (home.parent / "sample" / "d-corrupt" / damaged).rename(home / damaged)


def _commands(report: SourceReport) -> list[list[str]]:
    """Return the spec-kitty commands of a remedy as argument lists."""
    return [
        [word.replace("TEXT", "because") for word in shlex.split(text)[1:]]
        for text in re.findall(r"`(spec-kitty [^`]*)`", report.remedy or "")
    ]


@pytest.mark.parametrize(
    "trouble", [_odd_name, _link, _dangling, _folder, _text, _foreign, _damaged]
)
def test_remedy_of_a_troubled_source_ends_the_complaint(
    trouble: Callable[[Path], None], tmp_path: Path
) -> None:
    """Each named command alone takes exit code 3 away, also from what status shows."""
    for number in range(2):
        home = tmp_path / str(number) / "home"
        trouble(home)
        report = migrate(settings_of(home))
        assert report.exit_code == 3
        (complaint,) = [source for source in report.sources if source.attention]
        commands = _commands(complaint)
        assert commands
        if number >= len(commands):
            return
        cli.main([*commands[number], "--home", str(home)], standalone_mode=False)
        assert migrate(settings_of(home)).exit_code == 0
        with looking(settings_of(home)) as parts:
            assert parts is not None
            left = waiting(settings_of(home).home, parts.store)
        assert [source.problem for source in left if source.problem] == []


def test_file_imported_by_name_needs_no_naming_again(tmp_path: Path) -> None:
    """What an old CLI adds later to a file of odd name comes with a plain migration."""
    path = write_queue(tmp_path / "queues" / "odd.db", [event(1)])
    migrate(settings_of(tmp_path), extra=[path])
    write_queue(path, [event(2)])
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.duplicates, report.exit_code) == (1, 1, 0)


def test_rows_of_a_file_imported_by_name_are_waiting_when_it_grows(tmp_path: Path) -> None:
    """Status counts them like those of any other queue."""
    path = write_rows(tmp_path / "queues" / "odd.db", [])
    migrate(settings_of(tmp_path), extra=[path])
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("INSERT INTO queue (event_id, data) VALUES ('x', '{}')")
    with looking(settings_of(tmp_path)) as parts:
        assert parts is not None
        assert [source.waiting for source in waiting(settings_of(tmp_path).home, parts.store)] == [
            1
        ]
