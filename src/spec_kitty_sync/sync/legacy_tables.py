"""One reader for each kind of table that held events, for every CLI version that wrote it.

Readers stream, find columns by name instead of counting them, and judge nothing: a value of an
odd type becomes a row with a problem, never an exception.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

from spec_kitty_sync.sync.aside_rows import aside_rows, is_own_journal
from spec_kitty_sync.sync.legacy_sources import LegacyRow

EVENT_TABLES: Final = ("queue", "event_journal", "journal_entries")
# A column of that name hides the row's own number.
_WITHOUT_ROWID = """
SELECT wr OR EXISTS (SELECT 1 FROM pragma_table_xinfo(?1) WHERE lower(name) = 'rowid')
FROM pragma_table_list WHERE schema = 'main' AND lower(name) = ?1
"""
_TRIGGER = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = ? LIMIT 1"
_QUEUE = "SELECT rowid, * FROM queue NOT INDEXED ORDER BY rowid"
_QUEUE_KEYED = "SELECT NULL, * FROM queue NOT INDEXED"
_JOURNAL = "SELECT rowid, * FROM event_journal NOT INDEXED ORDER BY rowid"
_JOURNAL_KEYED = "SELECT NULL, * FROM event_journal NOT INDEXED"
_PROJECT = "SELECT rowid, * FROM journal_entries NOT INDEXED ORDER BY rowid"
_PROJECT_KEYED = "SELECT NULL, * FROM journal_entries NOT INDEXED"
_ABSENT: Final = object()  # the table has no such column; NULL is None


def read_table(conn: sqlite3.Connection, table: str) -> Iterator[LegacyRow]:
    """Return the rows of one of the `EVENT_TABLES`."""
    match table:
        case "queue":
            return queue_rows(conn)
        case "event_journal":
            return aside_rows(conn) if is_own_journal(conn) else _journal_rows(conn)
        case _:
            return _project_rows(conn)


def queue_rows(conn: sqlite3.Connection) -> Iterator[LegacyRow]:
    """Rows of the queue of every CLI from 2.1 to 3.2.5, and of the design's older table."""
    wanted = ("event_id", "event_type", "data", "timestamp", "created_at", "retry_count")
    query = _QUEUE if has_rowid(conn, "queue") else _QUEUE_KEYED
    # By position, not by name: this loop runs once for every queued event.
    for row, (event_id, event_type, data, queued, created, retries, key) in _scan(
        conn, query, (*wanted, "coalesce_key")
    ):
        yield LegacyRow(
            row,
            _identity(event_id),
            _text(event_type),
            data if type(data) is bytes else None,
            None if type(data) is bytes else _no_bytes(data),
            queued if type(queued) is int else _seconds(created),
            retries if type(retries) is int else None,
            _text(key),
        )


def _journal_rows(conn: sqlite3.Connection) -> Iterator[LegacyRow]:
    """Rows of the journal that 3.2.4 and 3.2.5 kept; its payload is the whole envelope."""
    wanted = ("event_id", "event_type", "payload", "created_at", "coalesce_key")
    query = _JOURNAL if has_rowid(conn, "event_journal") else _JOURNAL_KEYED
    for row, (event_id, event_type, payload, created, key) in _scan(conn, query, wanted):
        yield LegacyRow(
            row=row,
            column_id=_identity(event_id),
            column_type=_text(event_type),
            body=payload if isinstance(payload, bytes) else None,
            problem=None if isinstance(payload, bytes) else _no_bytes(payload),
            queued_at=_seconds(created),
            retry_count=None,
            coalesce_key=_text(key),
        )


def _project_rows(conn: sqlite3.Connection) -> Iterator[LegacyRow]:
    """Rows of the store that 3.2.6 and later keep per project; see `_unwrap`."""
    wanted = ("entry_id", "payload_json", "created_at")
    query = _PROJECT if has_rowid(conn, "journal_entries") else _PROJECT_KEYED
    for row, (entry_id, document, created) in _scan(conn, query, wanted):
        body, problem, key = _unwrap(document)
        yield LegacyRow(
            row=row,
            column_id=_identity(entry_id),
            column_type=None,
            body=body,
            problem=problem,
            queued_at=_seconds(created),
            retry_count=None,
            coalesce_key=key,
        )


def has_rowid(conn: sqlite3.Connection, table: str) -> bool:
    """Tell whether the rows of *table* have numbers of their own."""
    keyed = conn.execute(_WITHOUT_ROWID, (table,)).fetchone()
    return not (keyed and keyed[0])


def has_trigger(conn: sqlite3.Connection, table: str) -> bool:
    """Tell whether changing *table* would run statements of the file's own."""
    return conn.execute(_TRIGGER, (table,)).fetchone() is not None


def _scan(
    conn: sqlite3.Connection, query: str, wanted: tuple[str, ...]
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield (row number, the wanted columns) of a full scan; `_ABSENT` for a missing column."""
    cursor = conn.execute(query)
    found: dict[str, int] = {}
    for position, column in enumerate(cursor.description[1:], start=1):
        found.setdefault(column[0].lower(), position)
    pick = itemgetter(*(found.get(name, -1) for name in wanted))
    for ordinal, row in enumerate(cursor, start=1):
        number = ordinal if row[0] is None else row[0]
        yield number, pick((*row, _ABSENT))


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
            return value.decode()
        except UnicodeDecodeError:
            return None
    return None


def _identity(value: object) -> str | None:
    """Return an id column's value as text: NULL is empty, broken UTF-8 is escaped."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if value is _ABSENT:
        return None
    return "" if value is None else str(value)


def _no_bytes(value: object) -> str:
    missing = value is None or value is _ABSENT
    return "the row has no data" if missing else "the data is a number, not text"


def _seconds(value: object) -> int | None:
    """Return the epoch seconds of an RFC 3339 column, None when odd."""
    text = _text(value)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
