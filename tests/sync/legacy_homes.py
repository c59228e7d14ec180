"""Homes with legacy queues for tests: the packed real ones, and hand-made tables."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "fixtures" / "queues"

QUEUE_SQL = """
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT UNIQUE NOT NULL,
    event_type TEXT NOT NULL, data TEXT NOT NULL, timestamp INTEGER NOT NULL,
    retry_count INTEGER DEFAULT 0, coalesce_key TEXT
)
"""
LOOSE_QUEUE_SQL = "CREATE TABLE queue (event_id, event_type, data, timestamp, retry_count)"


def unpack(case: str, folder: Path) -> Path:
    """Unpack one case and return it as a home."""
    home = folder / case
    home.mkdir(parents=True)
    with tarfile.open(FIXTURES / f"{case}.tar.gz") as archive:
        archive.extractall(home, filter="data")
    if case == "k-names":
        (home / "queues" / "queue-0000000000000abc.db").symlink_to("/nonexistent/queue.db")
    return home


def image(folder: Path) -> dict[str, object]:
    """Return every path below *folder* with its bytes (or link target): equal means untouched."""
    return {
        str(path.relative_to(folder)): (
            str(path.readlink())
            if path.is_symlink()
            else hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else "dir"
        )
        for path in sorted(folder.rglob("*"))
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
        conn.execute(LOOSE_QUEUE_SQL)
        conn.executemany("INSERT INTO queue (event_id, data) VALUES (?, ?)", list(rows))
    return path
