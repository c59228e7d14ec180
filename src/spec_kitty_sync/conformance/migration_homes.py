"""Homes full of old queues, as released versions left them, and as accidents made them."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from spec_kitty_sync.conformance.builder import Builder, JsonObject

QUEUE_SQL: Final = """
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT UNIQUE NOT NULL,
    event_type TEXT NOT NULL, data TEXT NOT NULL, timestamp INTEGER NOT NULL,
    retry_count INTEGER DEFAULT 0, coalesce_key TEXT
)
"""
OLD_SQL: Final = """
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT UNIQUE NOT NULL,
    event_type TEXT NOT NULL, data TEXT NOT NULL, timestamp INTEGER NOT NULL,
    retry_count INTEGER DEFAULT 0
)
"""
EXTRA_SQL: Final = """
CREATE TABLE queue (
    note TEXT, timestamp INTEGER, data TEXT, retry_count INTEGER, event_type TEXT,
    event_id TEXT, priority INTEGER, coalesce_key TEXT
)
"""
LOOSE_SQL: Final = "CREATE TABLE queue (event_id, event_type, data, timestamp, retry_count)"
BODY_SQL: Final = """
CREATE TABLE body_upload_queue (
    id INTEGER PRIMARY KEY, project_uuid TEXT, mission_slug TEXT, target_branch TEXT,
    mission_type TEXT, manifest_version TEXT, artifact_path TEXT, content_hash TEXT,
    hash_algorithm TEXT DEFAULT 'sha256', content_body TEXT, size_bytes INTEGER,
    retry_count INTEGER DEFAULT 0, next_attempt_at REAL, created_at REAL, last_error TEXT
)
"""
JOURNAL_SQL: Final = """
CREATE TABLE event_journal (
    event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, payload BLOB NOT NULL,
    occurred_at TEXT NOT NULL, created_at TEXT NOT NULL, coalesce_key TEXT, archived_at TEXT,
    drain_blocked_reason TEXT
)
"""
STORE_SQL: Final = """
CREATE TABLE journal_entries (
    entry_id TEXT PRIMARY KEY, project_uuid TEXT, epoch_id INTEGER, capture_sequence INTEGER,
    payload_json TEXT NOT NULL, created_at TEXT NOT NULL
)
"""
_WAL: Final = "PRAGMA journal_mode=WAL"
_INSERT_JOURNAL: Final = (
    "INSERT INTO event_journal (event_id, event_type, payload, occurred_at, created_at)"
    " VALUES (?, ?, ?, ?, ?)"
)
_INSERT_STORE: Final = (
    "INSERT INTO journal_entries (entry_id, payload_json, created_at) VALUES (?, ?, ?)"
)
_INSERT: Final = (
    "INSERT INTO queue (event_id, event_type, data, timestamp, retry_count) VALUES (?, ?, ?, ?, ?)"
)
_INSERT_BODY: Final = (
    "INSERT INTO body_upload_queue (project_uuid, artifact_path, content_body) VALUES (?, ?, ?)"
)
_NOW_S: Final = 1_770_000_000
_NOW: Final = "2026-02-02T02:40:00+00:00"


@dataclass(frozen=True)
class Row:
    """One row of a queue: what the columns `event_id` and `data` hold, whatever type.

    `retry_count`: how often an old CLI had tried it; from 5 on it tried no more.
    """

    event_id: Any
    data: Any
    retry_count: int | None = 0


def row_of(event: JsonObject, **form: Any) -> Row:
    """Return the row an old CLI would write for *event*; *form* goes to `json.dumps`."""
    return Row(event["event_id"], json.dumps(event, **form))


def events_of(make: Builder, count: int, **edits: Any) -> list[JsonObject]:
    """Return *count* events as an old CLI made them."""
    return [make.event("HistoryAdded", **edits) for _ in range(count)]


def write_queue(path: Path, rows: Iterable[Row], *, table: str = QUEUE_SQL) -> Path:
    """Write *rows* into the queue table of *path*, made by *table* where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        _insert(conn, rows, table)
    return path


def write_bodies(path: Path, count: int) -> Path:
    """Write a database that holds body uploads and no events."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(BODY_SQL)
        conn.executemany(_INSERT_BODY, [("p", f"a{n}.md", "text") for n in range(count)])
    return path


def write_journal(path: Path, rows: Iterable[Row], *, in_wal: Sequence[Row] = ()) -> Path:
    """Write a journal as 3.2.4 kept it; *in_wal* are rows that only its log has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name("scratch.db")
    with closing(sqlite3.connect(scratch, isolation_level=None)) as conn:
        conn.execute(_WAL)
        conn.execute(JOURNAL_SQL)
        conn.executemany(_INSERT_JOURNAL, [_in_journal(row) for row in rows])
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.executemany(_INSERT_JOURNAL, [_in_journal(row) for row in in_wal])
        shutil.copyfile(scratch, path)
        if in_wal:
            shutil.copyfile(f"{scratch}-wal", f"{path}-wal")
    for ending in ("", "-wal", "-shm"):
        Path(f"{scratch}{ending}").unlink(missing_ok=True)
    return path


def write_store(path: Path, wrapped: Iterable[Row], *, plain: Iterable[Row] = ()) -> Path:
    """Write a project's store as 3.2.6 kept it: each event in a document around it, or *plain*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(_WAL)
        conn.execute(STORE_SQL)
        around = [Row(row.event_id, _document(row)) for row in wrapped]
        values = [(row.event_id, row.data, _NOW) for row in (*around, *plain)]
        conn.executemany(_INSERT_STORE, values)
    return path


def write_credentials(home: Path, server: str, user: str, team: str) -> None:
    """Write the login of an old CLI: it tells whose queue a digest may be."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "credentials").write_text(
        f'[user]\nusername = "{user}"\nteam_slug = "{team}"\n[server]\nurl = "{server}"\n'
        '[tokens]\naccess = "a"\nrefresh = "r"\n'
        '[expiries]\naccess = "2099-01-01T00:00:00Z"\nrefresh = "2099-01-01T00:00:00Z"\n',
        encoding="utf-8",
    )
    (home / "credentials").chmod(0o600)


def write_hot_wal(path: Path, rows: Sequence[Row], in_wal: Sequence[Row]) -> Path:
    """Write *rows* into the database, *in_wal* into its write-ahead log only, as a crash does."""
    scratch = path.with_name("scratch.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(scratch, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA wal_autocheckpoint=0")
        _insert(conn, rows, QUEUE_SQL)
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _insert(conn, in_wal, QUEUE_SQL)
        shutil.copyfile(scratch, path)
        shutil.copyfile(f"{scratch}-wal", f"{path}-wal")
    for ending in ("", "-wal", "-shm"):
        Path(f"{scratch}{ending}").unlink(missing_ok=True)
    return path


def write_hot_journal(path: Path, rows: Sequence[Row], half_done: Sequence[Row]) -> Path:
    """Write *rows*, then the files as a crash in the middle of writing *half_done* leaves them."""
    scratch = path.with_name("scratch.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(scratch, isolation_level=None)) as conn:
        _insert(conn, rows, QUEUE_SQL)
        conn.execute("PRAGMA cache_size=2")
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("UPDATE queue SET data = '{}'")
        filler = [Row(row.event_id, str(row.data) + " " * 3000) for row in half_done]
        _insert(conn, filler, QUEUE_SQL)
        shutil.copyfile(scratch, path)
        shutil.copyfile(f"{scratch}-journal", f"{path}-journal")
        conn.execute("ROLLBACK")
    scratch.unlink()
    return path


def scope_text(server: str, user: str, team: str | None) -> str:
    """Return the text whose digest names the queue of that server, user and team."""
    return "|".join(
        (server.strip().lower().rstrip("/"), user.strip().lower(), (team or "no-team").lower())
    )


def scope_file(server: str, user: str, team: str | None) -> str:
    """Return the file name of the queue of that server, user and team."""
    digest = hashlib.sha256(scope_text(server, user, team).encode()).hexdigest()
    return f"queue-{digest[:16]}.db"


def image(folder: Path) -> dict[str, str]:
    """Return every path below *folder* with its content: equal means untouched."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"→ {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder"
    return found


def row_count(path: Path) -> int:
    """Return how many rows the queue table of *path* has; none where the file is gone."""
    if not path.is_file():
        return 0
    with closing(sqlite3.connect(path)) as conn:
        return int(conn.execute("SELECT count(*) FROM queue").fetchone()[0])


def _insert(conn: sqlite3.Connection, rows: Iterable[Row], table: str) -> None:
    if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'queue'").fetchone():
        conn.execute(table)
    values = [(row.event_id, "HistoryAdded", row.data, _NOW_S, row.retry_count) for row in rows]
    conn.executemany(_INSERT, values)


def _in_journal(row: Row) -> tuple[str, str, bytes, str, str]:
    return row.event_id, "HistoryAdded", str(row.data).encode(), _NOW, _NOW


def _document(row: Row) -> str:
    inside = base64.b64encode(str(row.data).encode()).decode("ascii")
    return json.dumps({"event_id": row.event_id, "payload": inside})
