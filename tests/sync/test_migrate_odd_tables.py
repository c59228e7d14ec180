"""Tables that no CLI made: their events come in, and cleanup takes nothing it cannot prove."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from legacy_homes import event, journal_of, settings_of, write_queue

from spec_kitty_sync.sync.legacy_rows import chunks
from spec_kitty_sync.sync.legacy_sources import LegacyRow
from spec_kitty_sync.sync.migrate_home import cleanup, looking, migrate
from spec_kitty_sync.sync.migrate_sources import Waiting, waiting

_THREE = "INSERT INTO queue VALUES (?, ?, ?)"


def made(path: Path, *statements: str, rows: list[tuple[object, ...]]) -> Path:
    """Make a database with *statements*; *rows* go into the table queue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        for statement in statements:
            conn.execute(statement)
        for row in rows:
            conn.execute("INSERT INTO queue VALUES (?, ?)" if len(row) == 2 else _THREE, row)
    return path


def stated(number: int) -> tuple[object, object]:
    return event(number)["event_id"], json.dumps(event(number))


def left_in(home: Path) -> list[Waiting]:
    with looking(settings_of(home)) as parts:
        assert parts is not None
        return list(waiting(settings_of(home).home, parts.store))


def test_column_that_hides_the_row_number_deletes_no_other_row(tmp_path: Path) -> None:
    """Two rows with one value in a column `rowid`: the row in quarantine survives a cleanup."""
    for number, value in enumerate([1, "a"]):
        home = tmp_path / str(number)
        rows = [(value, *stated(1)), (value, "x", "[]")]
        path = made(home / "queue.db", "CREATE TABLE queue (rowid, event_id, data)", rows=rows)
        write_queue(home / "queues" / "queue-aa.db", [event(2)])
        report = migrate(settings_of(home))
        assert (report.imported, report.quarantined) == (2, 1)
        assert [source.outcome for source in cleanup(settings_of(home)).sources] == [
            "kept",
            "cleaned",
        ]
        with closing(sqlite3.connect(path)) as conn:
            assert conn.execute("SELECT count(*) FROM queue").fetchone()[0] == 2


def test_keyed_table_in_capitals_is_read(tmp_path: Path) -> None:
    """SQLite does not tell cases apart, so neither does the search for row numbers."""
    made(
        tmp_path / "queue.db",
        "CREATE TABLE Queue (Event_ID TEXT PRIMARY KEY, DATA) WITHOUT ROWID",
        rows=[stated(1)],
    )
    assert migrate(settings_of(tmp_path)).imported == 1


def test_queue_with_a_trigger_is_not_cleaned(tmp_path: Path) -> None:
    """Deleting there would run the file's own statements, against body uploads for example."""
    path = made(
        tmp_path / "queue.db",
        "CREATE TABLE queue (event_id, data)",
        "CREATE TABLE body_upload_queue (x)",
        "INSERT INTO body_upload_queue VALUES (1)",
        "CREATE TRIGGER t AFTER DELETE ON QUEUE BEGIN DELETE FROM body_upload_queue; END",
        rows=[stated(1)],
    )
    assert migrate(settings_of(tmp_path)).imported == 1
    (source,) = cleanup(settings_of(tmp_path)).sources
    assert (source.outcome, source.deleted) == ("kept", 0)
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT count(*) FROM body_upload_queue").fetchone()[0] == 1


def test_file_with_two_kinds_of_event_tables_gives_the_events_of_both(tmp_path: Path) -> None:
    """An empty queue beside a full journal hides nothing."""
    made(
        tmp_path / "queue.db",
        "CREATE TABLE queue (event_id, data)",
        "CREATE TABLE event_journal (event_id, payload BLOB)",
        rows=[stated(1)],
    )
    with closing(sqlite3.connect(tmp_path / "queue.db")) as conn, conn:
        conn.execute("INSERT INTO event_journal VALUES (?, CAST(? AS BLOB))", stated(2))
    migrate(settings_of(tmp_path))
    assert sorted(journal_of(tmp_path)) == [stated(1)[0], stated(2)[0]]


def test_view_in_the_place_of_a_queue_is_a_problem_in_status_too(tmp_path: Path) -> None:
    """What the migration cannot read, status does not call empty."""
    made(
        tmp_path / "queue.db",
        "CREATE TABLE really (event_id, data)",
        "INSERT INTO really VALUES ('x', '{}')",
        "CREATE VIEW queue AS SELECT * FROM really",
        rows=[],
    )
    assert migrate(settings_of(tmp_path)).exit_code == 3
    (source,) = left_in(tmp_path)
    assert (source.problem, source.waiting) == ("it holds no table of events", None)
    assert "sources ignore" in (source.remedy or "")


def test_big_rows_are_taken_a_few_at_a_time() -> None:
    """Memory holds a thousand rows, or eight megabytes and one row."""

    def sizes(body: bytes, count: int) -> list[int]:
        row = LegacyRow(1, None, None, body, None, None, None, None)
        return [len(chunk) for chunk in chunks(iter([row] * count))]

    assert sizes(b"x", 2001) == [1000, 1000, 1]
    assert sizes(b"x" * 5 * 1024 * 1024, 5) == [2, 2, 1]
    assert sizes(b"", 0) == []


def test_row_whose_content_changed_under_its_id_waits(tmp_path: Path) -> None:
    """Status counts it until the migration has made it a conflict; another spelling is nothing."""
    path = write_queue(tmp_path / "queue.db", [event(1), event(2)])
    migrate(settings_of(tmp_path))
    changes = [
        (json.dumps(event(1, aggregate_id="WP99")), event(1)["event_id"]),
        (json.dumps(event(2), indent=1), event(2)["event_id"]),
    ]
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.executemany("UPDATE queue SET data = ? WHERE event_id = ?", changes)
    assert [(source.rows, source.waiting) for source in left_in(tmp_path)] == [(2, 1)]
    assert migrate(settings_of(tmp_path)).conflicts == 1
    write_queue(path, [event(3)])
    assert [(source.rows, source.waiting) for source in left_in(tmp_path)] == [(3, 1)]
