"""Old journals kept every version of a dossier entry, queues only the last: so do we."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from legacy_homes import event, settings_of, write_queue

from spec_kitty_sync.sync.migrate_home import migrate


def version(number: int, artifact: str = "spec.md") -> dict[str, object]:
    """Return one version of a dossier entry, as 3.1 wrote it."""
    return event(
        number,
        event_type="MissionDossierArtifactIndexed",
        aggregate_type="MissionDossier",
        payload={"mission_slug": "001-billing", "artifact_key": artifact},
    )


def write_journal(path: Path, events: list[dict[str, object]]) -> Path:
    """Write an event journal of 3.2.4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "CREATE TABLE event_journal (event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL,"
            " payload BLOB NOT NULL, occurred_at TEXT, created_at TEXT, coalesce_key TEXT)"
        )
        conn.executemany(
            "INSERT INTO event_journal VALUES (?, ?, ?, '', '2026-02-01T00:00:00+00:00', NULL)",
            [(e["event_id"], e["event_type"], json.dumps(e).encode()) for e in events],
        )
    return path


def superseded(home: Path) -> set[str]:
    with closing(sqlite3.connect(home / "journal.db")) as conn:
        query = "SELECT event_id FROM event_journal WHERE superseded_by IS NOT NULL"
        return {row[0] for row in conn.execute(query)}


def test_journal_row_that_a_queue_row_replaced_is_superseded(tmp_path: Path) -> None:
    """The queue holds version 2 alone: version 1 stays here, other entries are untouched."""
    write_journal(
        tmp_path / "event_journal" / "journal-local.db",
        [version(1), version(2), version(3, "plan.md"), event(4)],
    )
    write_queue(tmp_path / "queue.db", [version(2)])
    migrate(settings_of(tmp_path))
    assert superseded(tmp_path) == {version(1)["event_id"]}


def test_journal_rows_without_a_queue_row_are_all_delivered(tmp_path: Path) -> None:
    """Where no queue row took over, every version is an event of its own."""
    write_journal(tmp_path / "event_journal" / "journal-local.db", [version(1), version(2)])
    migrate(settings_of(tmp_path))
    assert superseded(tmp_path) == set()


def test_versions_in_two_queues_are_both_delivered(tmp_path: Path) -> None:
    """Two servers' queues hold different versions: neither replaced the other."""
    write_queue(tmp_path / "queues" / "queue-aa.db", [version(1)])
    write_queue(tmp_path / "queues" / "queue-bb.db", [version(2)])
    migrate(settings_of(tmp_path))
    assert superseded(tmp_path) == set()


def test_nothing_is_superseded_while_a_queue_cannot_be_read(tmp_path: Path) -> None:
    """An unreadable queue may hold the old version itself, so the verdict waits for it."""
    write_journal(tmp_path / "event_journal" / "journal-local.db", [version(1), version(2)])
    write_queue(tmp_path / "queues" / "queue-aa.db", [version(2)])
    other = tmp_path / "queues" / "queue-bb.db"
    other.write_bytes(b"broken" * 999)
    migrate(settings_of(tmp_path))
    assert superseded(tmp_path) == set()
    other.unlink()
    write_queue(other, [version(1)])
    assert migrate(settings_of(tmp_path)).exit_code == 0
    assert superseded(tmp_path) == set()
    write_journal(tmp_path / "event_journal" / "journal-team.db", [version(0)])
    migrate(settings_of(tmp_path))
    assert superseded(tmp_path) == {version(0)["event_id"]}


def test_nothing_is_superseded_while_a_queue_is_busy(tmp_path: Path) -> None:
    """A queue in use may hold the old version itself; the run that reads it decides."""
    write_journal(tmp_path / "event_journal" / "journal-local.db", [version(1), version(2)])
    write_queue(tmp_path / "queues" / "queue-aa.db", [version(2)])
    other = write_queue(tmp_path / "queues" / "queue-bb.db", [version(1)])
    with closing(sqlite3.connect(other, isolation_level=None)) as owner:
        owner.execute("BEGIN EXCLUSIVE")
        assert migrate(settings_of(tmp_path), patience_s=0.05).exit_code == 3
        assert superseded(tmp_path) == set()
    assert migrate(settings_of(tmp_path)).exit_code == 0
    assert superseded(tmp_path) == set()
