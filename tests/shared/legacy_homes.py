"""Homes with legacy queues for tests: the packed real ones, and hand-made tables."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.config import Settings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "queues"

_OURS = ("journal.db", "locks", "backups")

QUEUE_SQL = """
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT UNIQUE NOT NULL,
    event_type TEXT NOT NULL, data TEXT NOT NULL, timestamp INTEGER NOT NULL,
    retry_count INTEGER DEFAULT 0, coalesce_key TEXT
)
"""
LOOSE_QUEUE_SQL = "CREATE TABLE queue (event_id, event_type, data, timestamp, retry_count)"


def extract(case: str, folder: Path) -> None:
    """Put the files of one case into *folder*."""
    with tarfile.open(FIXTURES / f"{case}.tar.gz") as archive:
        # Python before 3.11.4 knows no filters, and never looks at this.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # type: ignore[assignment]
        archive.extractall(folder)


def unpack(case: str, folder: Path) -> Path:
    """Unpack one case and return it as a home."""
    home = folder / case
    home.mkdir(parents=True)
    extract(case, home)
    if case == "k-names":
        (home / "queues" / "queue-0000000000000abc.db").symlink_to("/nonexistent/queue.db")
    return home


def image(folder: Path) -> dict[str, object]:
    """Return every legacy path below *folder* with its bytes or link target: equal is untouched."""
    return {
        str(path.relative_to(folder)): (
            str(path.readlink())
            if path.is_symlink()
            else hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else "dir"
        )
        for path in sorted(folder.rglob("*"))
        if not path.relative_to(folder).parts[0].startswith(_OURS)
    }


def event(number: int, **changes: object) -> dict[str, object]:
    """Return a valid event with a ULID made from *number*."""
    made: dict[str, object] = {
        "event_id": f"01KA0000000000000000{number:06d}",
        "event_type": "WPAssigned",
        "aggregate_id": "WP01",
        "aggregate_type": "WorkPackage",
        "payload": {"wp_id": "WP01", "agent_id": "a", "phase": "review", "retry_count": 0},
        "timestamp": "2026-02-12T10:00:00+00:00",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": number,
        "causation_id": None,
        "team_slug": "local",
        "project_uuid": "550e8400-e29b-41d4-a716-446655440000",
    }
    made.update(changes)
    return made


def write_queue(path: Path, events: Iterable[Mapping[str, object]]) -> Path:
    """Write *events* as an old CLI would; existing rows stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA synchronous=OFF")
        if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'queue'").fetchone():
            conn.execute(QUEUE_SQL)
        conn.executemany(
            "INSERT INTO queue (event_id, event_type, data, timestamp) VALUES (?, ?, ?, ?)",
            [(e["event_id"], e["event_type"], json.dumps(e), 1_770_000_000) for e in events],
        )
    return path


def write_rows(path: Path, rows: Iterable[tuple[object, object]]) -> Path:
    """Write (event_id, data) rows of any type into a table without constraints."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA synchronous=OFF")
        conn.execute(LOOSE_QUEUE_SQL)
        conn.executemany("INSERT INTO queue (event_id, data) VALUES (?, ?)", list(rows))
    return path


def settings_of(home: Path) -> Settings:
    """Return settings of *home* with an empty environment."""
    return Settings(Home(home), {}, home)


def contents(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return what a migration leaves in the journal's database, without times and numbers.

    Two homes are migrated alike if and only if this is equal.
    """
    queries = {
        "events": "SELECT event_id, body, tier, hold, superseded_by IS NOT NULL"
        " FROM event_journal ORDER BY 1",
        "order": "SELECT event_id FROM event_journal ORDER BY seq",
        "provenance": "SELECT j.event_id, s.path, p.source_row, p.retry_count,"
        " p.queued_at, p.note FROM migration_provenance p JOIN event_journal j ON j.seq = p.seq"
        " JOIN migration_source s ON s.id = p.source_id ORDER BY 1, 2",
        "conflicts": "SELECT c.event_id, s.path, c.source_row, c.body, c.class, c.kept"
        " FROM migration_conflict c JOIN migration_source s ON s.id = c.source_id ORDER BY 1, 2, 3",
        "quarantine": "SELECT s.path, q.source_row, q.body, q.reason FROM migration_quarantine q"
        " JOIN migration_source s ON s.id = q.source_id ORDER BY 1, 2",
        "sources": "SELECT path, outcome, row_count, fingerprint FROM migration_source ORDER BY 1",
        "counts": "SELECT local_only, team, hold, superseded, removed, sum(events), sum(bytes)"
        " FROM event_journal_count GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
        "audit": "SELECT action, subject, reason FROM migration_audit ORDER BY id",
    }
    with closing(sqlite3.connect(home / "journal.db")) as conn:
        return {name: conn.execute(query).fetchall() for name, query in queries.items()}


def journal_of(home: Path) -> dict[str, bytes]:
    """Return event id → stored bytes."""
    with closing(sqlite3.connect(home / "journal.db")) as conn:
        return dict(conn.execute("SELECT event_id, body FROM event_journal").fetchall())


def holds_of(home: Path) -> dict[str, str]:
    """Return event id → hold, of the held events."""
    with closing(sqlite3.connect(home / "journal.db")) as conn:
        return dict(conn.execute("SELECT event_id, hold FROM event_journal WHERE hold IS NOT NULL"))
