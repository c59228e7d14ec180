"""Reads captured events out of other people's files; never writes beside them."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spec_kitty_sync.conformance.producer_events import Captured

_MAGIC: Final = b"SQLite format 3\0"
_GZIP: Final = b"\x1f\x8b"
_ENDINGS: Final = (".jsonl", ".jsonl.gz", ".ndjson", ".json")
_COMPANIONS: Final = ("", "-wal", "-journal")
# Where released versions kept events: table, column of the bytes, column of the id.
_TABLES: Final = (
    ("queue", "data", "event_id"),
    ("event_journal", "payload", "event_id"),
    ("event_journal", "body", "event_id"),
    ("journal_entries", "payload_json", "entry_id"),
)
_SELECT: Final = {
    ("queue", "data", "event_id"): "SELECT rowid, data, event_id FROM queue ORDER BY rowid",
    ("event_journal", "payload", "event_id"): (
        "SELECT rowid, payload, event_id FROM event_journal ORDER BY rowid"
    ),
    ("event_journal", "body", "event_id"): (
        "SELECT seq, body, event_id FROM event_journal WHERE body IS NOT NULL ORDER BY seq"
    ),
    ("journal_entries", "payload_json", "entry_id"): (
        "SELECT rowid, payload_json, entry_id FROM journal_entries ORDER BY rowid"
    ),
}
_COLUMNS: Final = "SELECT name FROM pragma_table_info(?)"


class UnreadableError(Exception):
    """There is nothing to read; the text is one sentence."""


@dataclass
class FoundEvents:
    """The events of one file or home, and what could not be read."""

    events: list[Captured] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_events(path: Path) -> FoundEvents:
    """Return the events of a JSON Lines file (also gzip), a queue database, or a home.

    Raises:
        UnreadableError: there is no such file or folder.
    """
    if not path.exists():
        raise UnreadableError(f"there is no file {path}")
    found = FoundEvents()
    if path.is_dir():
        base = path / ".spec-kitty" if (path / ".spec-kitty").is_dir() else path
        for file in _files_of_home(base):
            name = file.relative_to(base).as_posix()
            if file.is_file():
                _read_file(file, name, found)
            else:
                kind = "a folder" if file.is_dir() else "a link to nothing"
                found.problems.append(f"{name}: {kind}")
    else:
        _read_file(path, path.name, found)
    return found


def _files_of_home(home: Path) -> Iterator[Path]:
    for pattern in ("event_journal/*.db", "journal.db", "queue.db", "queues/*", "*.jsonl"):
        for path in sorted(home.glob(pattern)):
            if not path.name.endswith(("-wal", "-shm", "-journal")):
                yield path
    yield from sorted(home.glob("projects/*/sync/sync.db"))


def _read_file(path: Path, name: str, found: FoundEvents) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
        if head == _MAGIC:
            _read_database(path, name, found)
        elif head[:2] == _GZIP:
            _read_lines(gzip.decompress(path.read_bytes()), name, found)
        elif path.name.endswith(_ENDINGS):
            _read_lines(path.read_bytes(), name, found)
        else:
            found.problems.append(f"{name}: neither a database nor JSON Lines")
    except (OSError, EOFError, zlib.error, sqlite3.Error) as exc:
        found.problems.append(f"{name}: {exc}")


def _read_lines(text: bytes, name: str, found: FoundEvents) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found.events.append(Captured(line, f"{name} line {number}"))


def _read_database(path: Path, name: str, found: FoundEvents) -> None:
    # A copy: opening a database with a hot journal or a WAL writes beside it.
    with tempfile.TemporaryDirectory(prefix="sk-events-") as folder:
        copy = Path(folder) / "copy.db"
        for ending in _COMPANIONS:
            companion = path.with_name(path.name + ending)
            if companion.is_file():
                shutil.copyfile(companion, copy.with_name(copy.name + ending))
        with closing(sqlite3.connect(copy)) as conn:
            conn.text_factory = bytes
            _read_tables(conn, name, found)


def _read_tables(conn: sqlite3.Connection, name: str, found: FoundEvents) -> None:
    known = False
    for table, column, id_column in _TABLES:
        columns = {row[0].decode("utf-8", "replace") for row in conn.execute(_COLUMNS, (table,))}
        if not {column, id_column} <= columns:
            continue
        known = True
        for row, body, row_id in conn.execute(_SELECT[table, column, id_column]):
            found.events.append(_captured(body, row_id, f"{name} row {row}"))
    if not known:
        found.problems.append(f"{name}: no table with events")


def _captured(body: object, row_id: object, where: str) -> Captured:
    raw = body if isinstance(body, bytes) else b"" if body is None else str(body).encode()
    told = row_id.decode("utf-8", "replace") if isinstance(row_id, bytes) else None
    return Captured(_unwrapped(raw), where, told)


def _unwrapped(raw: bytes) -> bytes:
    """Return the envelope inside the wrapper document of newer stores, else *raw* itself."""
    try:
        told = json.loads(raw)
        if isinstance(told, dict) and isinstance(told.get("payload"), str):
            inner = base64.b64decode(told["payload"], validate=True)
            return inner if inner.startswith(b"{") else raw
    except ValueError:
        pass
    return raw
