"""Cleanup takes only what the journal provably holds, after a backup, and nothing else."""

from __future__ import annotations

import json
import resource
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from legacy_homes import contents, event, holds_of, settings_of, unpack, write_queue, write_rows

from spec_kitty_sync.sync.migrate_conflicts import Conflicts
from spec_kitty_sync.sync.migrate_home import cleanup, deciding, looking, migrate, migration_lock
from spec_kitty_sync.sync.migrate_sources import waiting


def ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return [row[0] for row in conn.execute("SELECT event_id FROM queue ORDER BY rowid")]


def test_cleanup_empties_imported_queues_and_keeps_backups(tmp_path: Path) -> None:
    """Every imported row goes, the whole queue is in the backup, a new run is clean."""
    path = write_queue(tmp_path / "queue.db", [event(n) for n in range(5)])
    migrate(settings_of(tmp_path))
    report = cleanup(settings_of(tmp_path))
    (source,) = report.sources
    assert (source.deleted, source.left, report.exit_code) == (5, 0, 0)
    assert ids(path) == []
    assert len(ids(Path(str(source.backup)))) == 5
    again = migrate(settings_of(tmp_path))
    assert (again.exit_code, again.sources[0].rows) == (0, 0)
    assert cleanup(settings_of(tmp_path)).deleted == 0


def test_cleanup_leaves_rows_that_an_old_cli_wrote_meanwhile(tmp_path: Path) -> None:
    """A row that the journal lacks stays; so does one whose content changed since."""
    path = write_queue(tmp_path / "queue.db", [event(1), event(2)])
    migrate(settings_of(tmp_path))
    write_queue(path, [event(3)])
    changed = event(2, aggregate_id="WP99")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "UPDATE queue SET data = ? WHERE event_id = ?",
            (json.dumps(changed), event(2)["event_id"]),
        )
    (source,) = cleanup(settings_of(tmp_path)).sources
    assert (source.deleted, source.left, source.conflicts) == (1, 2, 1)
    assert ids(path) == [event(2)["event_id"], event(3)["event_id"]]
    assert holds_of(tmp_path) == {event(2)["event_id"]: "migration_conflict"}


def test_cleanup_accepts_the_same_content_in_other_spelling(tmp_path: Path) -> None:
    """Key order and spacing do not keep a row: its content is in the journal."""
    write_queue(tmp_path / "queue.db", [event(1)])
    path = write_rows(
        tmp_path / "queues" / "queue-aa.db",
        [(event(1)["event_id"], json.dumps(event(1), sort_keys=True, indent=2))],
    )
    migrate(settings_of(tmp_path))
    cleanup(settings_of(tmp_path))
    assert ids(path) == []


def test_cleanup_is_blocked_by_conflicts_until_they_are_resolved(tmp_path: Path) -> None:
    """The source of a conflict is not touched; the printed way out then works."""
    write_queue(tmp_path / "queue.db", [event(1)])
    path = write_queue(
        tmp_path / "queues" / "queue-aa.db", [event(1, aggregate_id="WP99"), event(2)]
    )
    migrate(settings_of(tmp_path))
    report = cleanup(settings_of(tmp_path))
    assert [source.outcome for source in report.sources] == ["cleaned", "blocked"]
    assert report.exit_code == 1
    assert len(ids(path)) == 2
    with deciding(settings_of(tmp_path)) as parts:
        Conflicts(parts).resolve_all(keep="source")
    assert cleanup(settings_of(tmp_path)).exit_code == 0
    assert ids(path) == []


def test_cleanup_never_touches_body_uploads(tmp_path: Path) -> None:
    """Waiting documents of a real home stay, row by row, in queues that are empty now."""
    home = unpack("natural-2.1.3", tmp_path)

    def uploads() -> list[object]:
        found: list[object] = []
        for path in sorted([home / "queue.db", *(home / "queues").iterdir()]):
            with closing(sqlite3.connect(path)) as conn:
                found.append(conn.execute("SELECT * FROM body_upload_queue").fetchall())
        return found

    before = uploads()
    migrate(settings_of(home))
    assert cleanup(settings_of(home)).deleted == 327
    assert uploads() == before
    with looking(settings_of(home)) as parts:
        assert parts is not None
        left = waiting(settings_of(home).home, parts.store)
    assert sum(source.waiting or 0 for source in left) == 0
    assert sum(source.rows or 0 for source in left) == 0
    assert sum(source.body_uploads for source in left) == 11


def test_cleanup_skips_a_queue_that_another_process_uses(tmp_path: Path) -> None:
    """A busy queue is reported after a bounded time; nothing of it is gone."""
    path = write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        report = cleanup(settings_of(tmp_path), patience_s=0.1)
        other.execute("ROLLBACK")
    assert [source.outcome for source in report.sources] == ["busy"]
    assert report.exit_code == 3
    assert len(ids(path)) == 1


@pytest.mark.parametrize("case", ["d-corrupt", "natural-3.2.4"])
def test_cleanup_leaves_damaged_files_and_old_journals(case: str, tmp_path: Path) -> None:
    """Only sound queues are emptied: damaged files and 3.2.4's journals keep every byte."""
    home = unpack(case, tmp_path)
    kept = [*home.glob("queues/*00d?.db"), *home.glob("event_journal/*.db")]
    before = [path.read_bytes() for path in kept]
    migrate(settings_of(home))
    report = cleanup(settings_of(home))
    assert [path.read_bytes() for path in kept] == before
    assert report.deleted == {"d-corrupt": 5, "natural-3.2.4": 510}[case]


def test_cleanup_is_audited(tmp_path: Path) -> None:
    """Each cleaned queue leaves one audit row with what went and where the backup is."""
    write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    cleanup(settings_of(tmp_path))
    assert [row[:2] for row in contents(tmp_path)["audit"]] == [
        ("cleanup", str(tmp_path / "queue.db"))
    ]


def test_cleanup_without_room_for_the_backup_deletes_nothing(tmp_path: Path) -> None:
    """The failure is the backup's, not the queue's: no half copy stays, with room it works."""
    path = write_queue(tmp_path / "queue.db", [event(n) for n in range(700)])
    migrate(settings_of(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        report = cleanup(settings_of(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (source,) = report.sources
    assert (source.outcome, source.deleted, report.exit_code) == ("failed", 0, 3)
    assert "ignore" not in (source.remedy or "")
    assert list((tmp_path / "backups").iterdir()) == []
    assert len(ids(path)) == 700
    assert cleanup(settings_of(tmp_path)).deleted == 700


def test_cleanup_waits_for_a_migration_that_runs(tmp_path: Path) -> None:
    """It begins when the other has ended, and then does its work."""
    path = write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    waiting_one = threading.Thread(target=cleanup, args=(settings_of(tmp_path),))
    with migration_lock(settings_of(tmp_path).home):
        waiting_one.start()
        waiting_one.join(0.5)
        assert waiting_one.is_alive()
        assert len(ids(path)) == 1
    waiting_one.join(20)
    assert ids(path) == []
