"""The rows of a journal of ours that was set aside: what a damaged file still gives."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from spec_kitty_sync.sync.legacy_sources import LegacyRow

_IS_OURS = "SELECT 1 FROM pragma_table_info('event_journal') WHERE name = 'body_sha256'"
_ROWS = """
SELECT seq, event_id, event_type, body, body_sha256, appended_at_ms
FROM event_journal NOT INDEXED
WHERE seq > ? AND body IS NOT NULL AND superseded_by IS NULL ORDER BY seq
"""
# More rows than one damaged page can hide from a search by their numbers.
_GIVES_UP_AFTER: Final = 100_000


def is_own_journal(conn: sqlite3.Connection) -> bool:
    """Tell whether the table `event_journal` is that of this version, not of an older CLI."""
    return conn.execute(_IS_OURS).fetchone() is not None


def aside_rows(conn: sqlite3.Connection) -> Iterator[LegacyRow]:
    """Yield every event that can be read and was to be kept, on both sides of damaged pages.

    Bytes that are not those that were stored come as a row with a problem.
    """
    after = failures = 0
    while failures < _GIVES_UP_AFTER:
        try:
            for row in conn.execute(_ROWS, (after,)):
                after, failures = row[0], 0
                yield _read(row)
            return
        except sqlite3.DatabaseError as exc:
            if not (exc.sqlite_errorname or "").startswith("SQLITE_CORRUPT"):
                raise
            after += 1
            failures += 1


def _read(columns: tuple[Any, ...]) -> LegacyRow:
    seq, event_id, event_type, body, sha256, appended_at_ms = columns
    is_bytes = isinstance(body, bytes)
    intact = is_bytes and hashlib.sha256(body).digest() == sha256
    return LegacyRow(
        row=seq,
        column_id=_text(event_id),
        column_type=_text(event_type),
        body=body if is_bytes else None,
        problem=None if intact else "its bytes are not those that were stored",
        queued_at=appended_at_ms // 1000 if isinstance(appended_at_ms, int) else None,
        retry_count=None,
        coalesce_key=None,
    )


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
