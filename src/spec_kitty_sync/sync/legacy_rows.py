"""One legacy source opened for reading: what it holds, whether it is sound, its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.sync.legacy_files import iterate_file, looks_like_events
from spec_kitty_sync.sync.legacy_open import (
    PATIENCE_S,
    SQLITE_ERRORS,
    OpenedSource,
    fingerprint_of,
    open_database,
    translate_source,
    unreadable,
)
from spec_kitty_sync.sync.legacy_sources import (
    LegacyRow,
    LegacySource,
    source_error,
)
from spec_kitty_sync.sync.legacy_tables import EVENT_TABLES, read_table

_TABLES = """
SELECT lower(name) FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
"""
_PEEK_FOREIGN = """
SELECT printf('SELECT 1 FROM "%w" LIMIT 1', name) FROM sqlite_master
WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
  AND name NOT IN ('body_upload_queue', 'body_upload_failure_log')
"""
_CHUNK = 1000
_CHUNK_BYTES = 8 * 1024 * 1024
_BODY_UPLOADS = "SELECT count(*) FROM body_upload_queue NOT INDEXED"
_BODY_FAILURES = "SELECT count(*) FROM body_upload_failure_log NOT INDEXED"


@dataclass(frozen=True)
class SourceView:
    """An opened source: which tables hold its events, and its rows on demand.

    `table` is the first of them, None when it holds none; `foreign_rows` tells whether another
    program's table has a row.
    `damage` is what SQLite's own check finds, None when the file is sound.
    """

    source: LegacySource
    table: str | None
    fingerprint: bytes
    body_uploads: int
    body_failures: int
    foreign_rows: bool
    damage: str | None
    rows: Callable[[], Iterator[LegacyRow]]


@contextmanager
def open_source(
    source: LegacySource,
    *,
    patience_s: float = PATIENCE_S,
    clock: Clock | None = None,
    check: bool = True,
) -> Iterator[SourceView]:
    """Open *source* for reading; its bytes and its folder stay as they are.

    *check* runs SQLite's quick check first. Errors met while the block iterates `rows()`
    are source errors too.

    Raises:
        SourceError: `facts["reason"]` is a stable code, `remedy` says what to do.
    """
    if source.problem is not None:
        raise source_error(source.path, *source.problem)
    if looks_like_events(source.path):
        yield _file_view(source)
        return
    with open_database(source, patience_s=patience_s, clock=clock) as opened:
        yield _database_view(opened, check=check)


def read_rows(source: LegacySource, *, patience_s: float = PATIENCE_S) -> Iterator[LegacyRow]:
    """Yield the rows of *source*, none if it has no table of events.

    Raises:
        SourceError: it cannot be read, or not to its end.
    """
    with open_source(source, patience_s=patience_s, check=False) as view:
        yield from view.rows()


def chunks(rows: Iterator[LegacyRow]) -> Iterator[list[LegacyRow]]:
    """Yield *rows* in lists of a thousand, or fewer when they are big."""
    chunk: list[LegacyRow] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row.body or b"")
        if len(chunk) == _CHUNK or size > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _file_view(source: LegacySource) -> SourceView:
    try:
        fingerprint = fingerprint_of(source.path)
    except OSError as exc:
        raise unreadable(source.path, exc) from exc
    return SourceView(
        source, "file", fingerprint, 0, 0, False, None, lambda: iterate_file(source.path)
    )


def _database_view(opened: OpenedSource, *, check: bool) -> SourceView:
    conn = opened.conn
    tables = {name.decode("utf-8", "replace") for (name,) in conn.execute(_TABLES)}
    found = [name for name in EVENT_TABLES if name in tables]
    table = found[0] if found else None
    return SourceView(
        source=opened.source,
        table=table,
        fingerprint=opened.fingerprint,
        body_uploads=_count(conn, _BODY_UPLOADS),
        body_failures=_count(conn, _BODY_FAILURES),
        foreign_rows=table is None and _has_rows(conn),
        damage=_damage(conn) if check else None,
        rows=lambda: _translated(
            opened.source.path, chain.from_iterable(read_table(conn, name) for name in found)
        ),
    )


def _translated(path: Path, rows: Iterator[LegacyRow]) -> Iterator[LegacyRow]:
    """Pass *rows* on; the source's own errors keep its name in any caller's transaction."""
    try:
        yield from rows
    except SQLITE_ERRORS as exc:
        raise translate_source(path, exc) from exc


def _count(conn: sqlite3.Connection, query: str) -> int:
    """Return a count, 0 where the table is missing or damaged: it is not ours to judge."""
    try:
        return int(conn.execute(query).fetchone()[0])
    except SQLITE_ERRORS:
        return 0


def _has_rows(conn: sqlite3.Connection) -> bool:
    """Tell whether a table that is no queue of ours holds anything."""
    peeks = [query.decode() for (query,) in conn.execute(_PEEK_FOREIGN)]
    return any(conn.execute(query).fetchone() for query in peeks)


def _damage(conn: sqlite3.Connection) -> str | None:
    """Return the first complaint of SQLite's quick check."""
    try:
        first = conn.execute("PRAGMA quick_check(1)").fetchone()[0]
    except SQLITE_ERRORS as exc:
        return str(exc)
    return None if first == b"ok" else first.decode("utf-8", "replace").replace("\n", " ")
