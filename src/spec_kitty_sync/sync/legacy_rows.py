"""The rows of one legacy source, whatever CLI version wrote it: one reader per kind of table.

Readers stream, name columns instead of counting them, and judge nothing: a value of an odd
type becomes a row with a problem, never an exception.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.sync.legacy_files import iterate_file, looks_like_events
from spec_kitty_sync.sync.legacy_open import (
    PATIENCE_S,
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

_EVENT_TABLES = ("queue", "event_journal", "journal_entries")
_TABLES = "SELECT name FROM sqlite_master WHERE type='table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
_PEEK_FOREIGN = """
SELECT printf('SELECT 1 FROM "%w" LIMIT 1', name) FROM sqlite_master
WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
  AND name NOT IN ('body_upload_queue', 'body_upload_failure_log')
"""
_WITHOUT_ROWID = "SELECT wr FROM pragma_table_list WHERE schema='main' AND name=?"
_QUEUE_ROWS = "SELECT rowid, * FROM queue NOT INDEXED ORDER BY rowid"
_QUEUE_KEYED = "SELECT * FROM queue NOT INDEXED"
_JOURNAL_ROWS = "SELECT rowid, * FROM event_journal NOT INDEXED ORDER BY rowid"
_JOURNAL_KEYED = "SELECT * FROM event_journal NOT INDEXED"
_PROJECT_ROWS = "SELECT rowid, * FROM journal_entries NOT INDEXED ORDER BY rowid"
_PROJECT_KEYED = "SELECT * FROM journal_entries NOT INDEXED"
_BODY_UPLOADS = "SELECT count(*) FROM body_upload_queue NOT INDEXED"
_BODY_FAILURES = "SELECT count(*) FROM body_upload_failure_log NOT INDEXED"


@dataclass(frozen=True)
class SourceView:
    """An opened source: which table holds its events, and its rows on demand.

    `table` is None when it holds none; `foreign_rows` tells whether any table has a row.
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
    tables = {_text(name) or "" for (name,) in conn.execute(_TABLES)}
    table = next((name for name in _EVENT_TABLES if name in tables), None)
    return SourceView(
        source=opened.source,
        table=table,
        fingerprint=opened.fingerprint,
        body_uploads=_count(conn, _BODY_UPLOADS),
        body_failures=_count(conn, _BODY_FAILURES),
        foreign_rows=table is None and _has_rows(conn),
        damage=_damage(conn) if check else None,
        rows=lambda: _translated(opened.source.path, _rows_of(conn, table)),
    )


def _translated(path: Path, rows: Iterator[LegacyRow]) -> Iterator[LegacyRow]:
    """Pass *rows* on; the source's own errors keep its name in any caller's transaction."""
    try:
        yield from rows
    except sqlite3.Error as exc:
        raise translate_source(path, exc) from exc


def _rows_of(conn: sqlite3.Connection, table: str | None) -> Iterator[LegacyRow]:
    match table:
        case "queue":
            return queue_rows(conn)
        case "event_journal":
            return _journal_rows(conn)
        case "journal_entries":
            return _project_rows(conn)
        case _:
            return iter(())


def _count(conn: sqlite3.Connection, query: str) -> int:
    """Return a count, 0 where the table is missing or damaged: it is not ours to judge."""
    try:
        return int(conn.execute(query).fetchone()[0])
    except sqlite3.DatabaseError:
        return 0


def _has_rows(conn: sqlite3.Connection) -> bool:
    """Tell whether a table that is no queue of ours holds anything."""
    peeks = [_text(query) or "" for (query,) in conn.execute(_PEEK_FOREIGN)]
    return any(conn.execute(query).fetchone() for query in peeks)


def _damage(conn: sqlite3.Connection) -> str | None:
    """Return the first complaint of SQLite's quick check."""
    try:
        first = conn.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as exc:
        return str(exc)
    return None if first == b"ok" else (_text(first) or "damaged").replace("\n", " ")


class _Columns:
    """Finds values by column name; a column that the table lacks gives None."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._index: dict[str, int] = {}
        for position, column in enumerate(cursor.description):
            self._index.setdefault(column[0].lower(), position)

    def getter(self, name: str) -> Callable[[tuple[object, ...]], object]:
        position = self._index.get(name)
        if position is None:
            return lambda row: None
        return itemgetter(position)

    def identity(self, name: str) -> Callable[[tuple[object, ...]], str | None]:
        """Return a getter of an id column: None only where the table has no such column."""
        position = self._index.get(name)
        if position is None:
            return lambda row: None
        return lambda row: _identity(row[position])


def _scan(
    conn: sqlite3.Connection, table: str, numbered: str, keyed: str
) -> tuple[sqlite3.Cursor, bool]:
    """Run the full scan of *table*; the flag says whether column 0 is its rowid."""
    is_numbered = has_rowid(conn, table)
    return conn.execute(numbered if is_numbered else keyed), is_numbered


def has_rowid(conn: sqlite3.Connection, table: str) -> bool:
    """Tell whether the rows of *table* have numbers of their own."""
    keyed_only = conn.execute(_WITHOUT_ROWID, (table,)).fetchone()
    return not (keyed_only and keyed_only[0])


def queue_rows(conn: sqlite3.Connection) -> Iterator[LegacyRow]:
    """Rows of the queue of every CLI from 2.1 to 3.2.5, and of the design's older table."""
    cursor, numbered = _scan(conn, "queue", _QUEUE_ROWS, _QUEUE_KEYED)
    columns = _Columns(cursor)
    event_id, event_type = columns.identity("event_id"), columns.getter("event_type")
    data, retries = columns.getter("data"), columns.getter("retry_count")
    queued, created = columns.getter("timestamp"), columns.getter("created_at")
    coalesce = columns.getter("coalesce_key")
    for ordinal, row in enumerate(cursor, start=1):
        body = data(row)
        yield LegacyRow(
            row=row[0] if numbered else ordinal,
            column_id=event_id(row),
            column_type=_text(event_type(row)),
            body=body if isinstance(body, bytes) else None,
            problem=None if isinstance(body, bytes) else _no_bytes(body),
            queued_at=_seconds(queued(row), created(row)),
            retry_count=_integer(retries(row)),
            coalesce_key=_text(coalesce(row)),
        )


def _journal_rows(conn: sqlite3.Connection) -> Iterator[LegacyRow]:
    """Rows of the journal that 3.2.4 and 3.2.5 kept; its payload is the whole envelope."""
    cursor, numbered = _scan(conn, "event_journal", _JOURNAL_ROWS, _JOURNAL_KEYED)
    columns = _Columns(cursor)
    event_id, event_type = columns.identity("event_id"), columns.getter("event_type")
    payload, created = columns.getter("payload"), columns.getter("created_at")
    coalesce = columns.getter("coalesce_key")
    for ordinal, row in enumerate(cursor, start=1):
        body = payload(row)
        yield LegacyRow(
            row=row[0] if numbered else ordinal,
            column_id=event_id(row),
            column_type=_text(event_type(row)),
            body=body if isinstance(body, bytes) else None,
            problem=None if isinstance(body, bytes) else _no_bytes(body),
            queued_at=_seconds(None, created(row)),
            retry_count=None,
            coalesce_key=_text(coalesce(row)),
        )


def _project_rows(conn: sqlite3.Connection) -> Iterator[LegacyRow]:
    """Rows of the store that 3.2.6 and later keep per project; see `_unwrap`."""
    cursor, numbered = _scan(conn, "journal_entries", _PROJECT_ROWS, _PROJECT_KEYED)
    columns = _Columns(cursor)
    entry_id, document = columns.identity("entry_id"), columns.getter("payload_json")
    created = columns.getter("created_at")
    for ordinal, row in enumerate(cursor, start=1):
        raw = document(row)
        body, problem, coalesce = _unwrap(raw)
        yield LegacyRow(
            row=row[0] if numbered else ordinal,
            column_id=entry_id(row),
            column_type=None,
            body=body,
            problem=problem,
            queued_at=_seconds(None, created(row)),
            retry_count=None,
            coalesce_key=coalesce,
        )


def _unwrap(raw: object) -> tuple[bytes | None, str | None, str | None]:
    """Return (envelope bytes, problem, coalesce key) of a `payload_json` value.

    It is a document whose `payload` holds the envelope in base64; entries that 3.2.6 took
    over from older queues hold the envelope itself. Damage gives back the raw bytes.
    """
    if not isinstance(raw, bytes):
        return None, _no_bytes(raw), None
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return raw, None, None
    if not isinstance(document, dict) or not isinstance(document.get("payload"), str):
        return raw, None, None
    key = document.get("coalesce_key")
    try:
        body = base64.b64decode(document["payload"], validate=True)
    except (binascii.Error, ValueError):
        return raw, "the payload in the project store is not base64", None
    return body, None, key if isinstance(key, str) else None


def _text(value: object) -> str | None:
    """Return *value* as text, None for anything that is no text in UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return None


def _identity(value: object) -> str:
    """Return an id column's value as text: NULL is empty, broken UTF-8 is escaped."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def _no_bytes(value: object) -> str:
    return "the row has no data" if value is None else "the data is a number, not text"


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _seconds(epoch: object, iso: object) -> int | None:
    """Return epoch seconds from the column that the CLI version wrote, None when odd."""
    if isinstance(epoch, int):
        return epoch
    text = _text(iso)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
