"""Rows that cannot become events: kept with their bytes, listed, handed out, accepted."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync._files import create_private, discard_file
from spec_kitty_sync.errors import SourceError, UsageError
from spec_kitty_sync.sync.migrate_journal import Parts
from spec_kitty_sync.sync.migrate_store import MigrationStore

_COLUMNS = """
SELECT q.id, s.path, q.source_row, q.column_id, q.reason, q.detail, length(q.body),
       q.found_at_ms, q.accepted_at_ms IS NOT NULL
FROM migration_quarantine q JOIN migration_source s ON s.id = q.source_id
"""
_OPEN = _COLUMNS + "WHERE q.accepted_at_ms IS NULL ORDER BY q.id"
_ONE = _COLUMNS + "WHERE q.id = ?"
_BODY = "SELECT body FROM migration_quarantine WHERE id = ?"
_COUNT = "SELECT count(*) FROM migration_quarantine WHERE accepted_at_ms IS NULL"
_ACCEPT = """
UPDATE migration_quarantine SET accepted_at_ms = ?
WHERE id IN (SELECT value FROM json_each(?)) AND accepted_at_ms IS NULL
RETURNING id
"""


@dataclass(frozen=True)
class QuarantinedRow:
    """One row and why it stays out; `size` is None when it has no bytes at all."""

    id: int
    source: str
    row: int
    column_id: str | None
    reason: str
    detail: str
    size: int | None
    found_at_ms: int
    accepted: bool


class Quarantine:
    """The quarantined rows of one home."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._own = MigrationStore(parts.store)

    def count(self) -> int:
        """Return how many rows wait for a decision."""
        with self._parts.store.reading() as conn:
            return int(conn.execute(_COUNT).fetchone()[0])

    def open(self) -> tuple[QuarantinedRow, ...]:
        """Return the rows that wait for a decision."""
        with self._parts.store.reading() as conn:
            return tuple(_row(row) for row in conn.execute(_OPEN))

    def show(self, number: int) -> tuple[QuarantinedRow, bytes | None]:
        """Return one row and its bytes.

        Raises:
            UsageError: no row has that number.
        """
        with self._parts.store.reading() as conn:
            row = conn.execute(_ONE, (number,)).fetchone()
            if row is None:
                raise no_such_row(number)
            return _row(row), conn.execute(_BODY, (number,)).fetchone()[0]

    def export(self, target: Path) -> int:
        """Write the open rows as JSON Lines, bytes in base64; return how many.

        Raises:
            UsageError: the file exists.
            SourceError: it cannot be written.
        """
        rows = self.open()
        create_private(target)
        try:
            with target.open("w", encoding="utf-8") as stream:
                for row in rows:
                    _, body = self.show(row.id)
                    stream.write(json.dumps(_exported(row, body), ensure_ascii=True) + "\n")
        except OSError as exc:
            discard_file(target)
            raise SourceError(f"{target}: {exc.strerror}") from exc
        return len(rows)

    def accept(self, numbers: Sequence[int] | None, *, reason: str) -> int:
        """Take note that rows (None: all) will not be imported; their bytes stay. Return how many.

        Raises:
            UsageError: one of the numbers is not in quarantine.
        """
        for number in numbers or ():
            self.show(number)
        chosen = [row.id for row in self.open()] if numbers is None else list(numbers)
        now_ms = self._parts.clock.now_ms()
        with self._parts.store.transaction() as conn:
            taken = conn.execute(_ACCEPT, (now_ms, json.dumps(chosen))).fetchall()
            for (number,) in taken:
                self._own.audit(
                    "quarantine.accept", str(number), reason=reason, detail=None, now_ms=now_ms
                )
        return len(taken)


def _row(row: tuple[int, str, int, str | None, str, str, int | None, int, int]) -> QuarantinedRow:
    return QuarantinedRow(*row[:8], accepted=bool(row[8]))


def _exported(row: QuarantinedRow, body: bytes | None) -> dict[str, object]:
    return {
        "id": row.id,
        "source": row.source,
        "row": row.row,
        "column_id": row.column_id,
        "reason": row.reason,
        "detail": row.detail,
        "body_base64": None if body is None else base64.b64encode(body).decode("ascii"),
    }


def no_such_row(number: int) -> UsageError:
    """Return the error for a number that no quarantined row has."""
    return UsageError(
        f"no quarantined row has the number {number}",
        remedy="Run `spec-kitty sync migrate quarantine list` to see the numbers.",
    )
