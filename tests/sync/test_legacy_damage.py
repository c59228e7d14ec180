"""Files that are broken anywhere: reported or read, never a crash, never a changed byte."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from legacy_homes import event, image, settings_of, unpack, write_queue

from spec_kitty_sync.sync.migrate_home import cleanup, migrate
from spec_kitty_sync.sync.migrate_report import SourceOutcome

_CASES = ("natural-2.1.3", "f-wal", "f2-hot-journal", "natural-3.2.4")
_PAGE = 4096


def _truncate(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data)) :]


def _flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice([1, 10, 200])):
        data[dice.randrange(len(data))] = dice.randrange(256)


def _overwrite_page(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data) // _PAGE + 1) * _PAGE
    data[start : start + _PAGE] = dice.choice([b"\0" * _PAGE, dice.randbytes(_PAGE)])


def _break_header(data: bytearray, dice: random.Random) -> None:
    for _ in range(5):
        data[dice.randrange(min(100, len(data)))] = dice.randrange(256)


def _break_schema(data: bytearray, dice: random.Random) -> None:
    at = data.find(b"CREATE TABLE")
    if at >= 0:
        data[at + dice.randrange(60)] = dice.randrange(128, 256)


_BREAKS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _truncate,
    _flip,
    _overwrite_page,
    _break_header,
    _break_schema,
)


@pytest.mark.parametrize("seed", range(40))
def test_home_broken_at_random_is_reported_and_left_as_it_is(seed: int, tmp_path: Path) -> None:
    """Whatever bytes are wrong, every source is accounted for and a second run agrees."""
    dice = random.Random(seed)
    home = unpack(dice.choice(_CASES), tmp_path)
    for path in sorted(home.rglob("*.db*")):
        data = bytearray(path.read_bytes())
        if data and dice.random() < 0.8:
            dice.choice(_BREAKS)(data, dice)
            path.write_bytes(data)
    before = image(home)
    report = migrate(settings_of(home), patience_s=0.1)
    for source in report.sources:
        counted = source.imported + source.duplicates + source.conflicts + source.quarantined
        assert source.rows == counted
        assert source.outcome is SourceOutcome.IMPORTED or source.reason
        assert source.remedy or not source.attention
    assert image(home) == before
    again = migrate(settings_of(home), patience_s=0.1)
    assert (again.imported, again.exit_code) == (0, report.exit_code)


def test_schema_with_text_that_is_not_utf8_is_damage(tmp_path: Path) -> None:
    """Even SQLite's own message about such a schema is unreadable; the source is reported."""
    path = write_queue(tmp_path / "queue.db", [event(1)])
    data = path.read_bytes().replace(b"CREATE TABLE queue (", b"CREATE TABLE queue \xe8")
    path.write_bytes(data)
    report = migrate(settings_of(tmp_path))
    assert report.sources[0].outcome is SourceOutcome.UNREADABLE
    assert "damaged" in str(report.sources[0].reason)


def test_damaged_file_that_shows_no_queue_is_not_called_empty(tmp_path: Path) -> None:
    """Where the list of tables is broken nobody can say that there are no events."""
    path = write_queue(tmp_path / "queue.db", [event(1)])
    data = path.read_bytes().replace(b"queuequeue", b"qqeueqqeue")
    path.write_bytes(data.replace(b"CREATE TABLE queue", b"CREATE TABLE qqeue"))
    report = migrate(settings_of(tmp_path))
    assert report.sources[0].outcome is not SourceOutcome.EMPTY
    assert report.exit_code == 3


def test_table_tricks_of_a_hostile_file_are_not_run(tmp_path: Path) -> None:
    """Virtual tables are not opened, triggers of a queue run for nobody else's rows."""
    path = write_queue(tmp_path / "queue.db", [event(1), event(2)])
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE VIRTUAL TABLE event_journal USING fts5(event_id, payload)")
        conn.execute("CREATE TABLE other (x)")
        conn.execute("INSERT INTO other VALUES (1)")
    before = image(tmp_path)
    assert migrate(settings_of(tmp_path)).imported == 2
    assert image(tmp_path) == before
    assert cleanup(settings_of(tmp_path)).deleted == 2


def test_source_that_vanishes_between_finding_and_reading_is_reported(tmp_path: Path) -> None:
    """A queue that an old CLI removed meanwhile is no crash; the others go on."""
    home = tmp_path / "home"
    write_queue(home / "queue.db", [event(1)])
    gone = tmp_path / "gone.db"
    report = migrate(settings_of(home), extra=[gone])
    assert [source.outcome for source in report.sources] == [
        SourceOutcome.IMPORTED,
        SourceOutcome.UNREADABLE,
    ]
    assert report.exit_code == 3


@pytest.mark.parametrize("log", ["whole", "broken"])
def test_write_ahead_log_beside_an_emptied_file_is_not_lost(log: str, tmp_path: Path) -> None:
    """SQLite itself would throw the log away: its rows are read, or it is called unreadable."""
    made = tmp_path / "made.db"
    with closing(sqlite3.connect(made)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()  # keeps the log
        write_queue(made, [event(1)])
        data = made.with_name("made.db-wal").read_bytes()
    home = tmp_path / "home"
    home.mkdir()
    (home / "queue.db").touch()
    (home / "queue.db-wal").write_bytes(data if log == "whole" else b"?" * len(data))
    before = image(home)
    report = migrate(settings_of(home))
    assert (report.imported, report.exit_code) == ((1, 0) if log == "whole" else (0, 3))
    assert image(home) == before


def test_queue_that_broke_since_its_import_is_not_cleaned(tmp_path: Path) -> None:
    """A damaged file keeps every byte: its rows may be worth more than their deletion."""
    path = write_queue(tmp_path / "queue.db", [event(number) for number in range(200)])
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE INDEX idx_timestamp ON queue (timestamp)")
        (page,) = conn.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'idx_timestamp'"
        ).fetchone()
    assert migrate(settings_of(tmp_path)).imported == 200
    data = bytearray(path.read_bytes())
    data[(page - 1) * _PAGE : page * _PAGE] = b"\xff" * _PAGE
    path.write_bytes(data)
    (source,) = cleanup(settings_of(tmp_path)).sources
    assert (source.outcome, source.deleted) == ("kept", 0)
    assert path.read_bytes() == data
