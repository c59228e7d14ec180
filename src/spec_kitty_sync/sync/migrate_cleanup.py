"""Taking imported rows out of legacy queues, only when asked (CONTRACT 6).

A row goes only if the journal holds its id with the content that the row has at that moment,
read and deleted in one transaction on the source, after a backup. Everything else stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync._files import Home, make_private_dir, touch_private
from spec_kitty_sync.errors import SourceError
from spec_kitty_sync.event_journal.models import Appended
from spec_kitty_sync.sync.legacy_open import (
    PATIENCE_S,
    SQLITE_ERRORS,
    configure,
    translate_source,
    unreadable,
)
from spec_kitty_sync.sync.legacy_rows import open_source
from spec_kitty_sync.sync.legacy_sources import LegacySource, source_error
from spec_kitty_sync.sync.legacy_tables import has_rowid, has_trigger, queue_rows
from spec_kitty_sync.sync.migrate_journal import Parts, record_conflict
from spec_kitty_sync.sync.migrate_rows import Candidate, judge
from spec_kitty_sync.sync.migrate_store import MigrationStore, StoredSource, is_ignored

_DELETE = "DELETE FROM queue WHERE rowid = ?"
_NOT_CLEANED = {"busy": "busy", "backup": "failed", "no_space": "failed"}
_CONFLICTS = "Run `spec-kitty sync migrate conflicts list`, resolve them, then clean up again."


@dataclass(frozen=True)
class CleanedSource:
    """One source: rows `deleted` and `left`; `backup` is the copy made before."""

    path: str
    outcome: str
    deleted: int = 0
    left: int = 0
    conflicts: int = 0
    backup: str | None = None
    reason: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class CleanupReport:
    """All sources of one cleanup."""

    sources: tuple[CleanedSource, ...]

    @property
    def deleted(self) -> int:
        return sum(source.deleted for source in self.sources)

    @property
    def exit_code(self) -> int:
        """Return 3 if a source could not be cleaned, 1 if conflicts block one, else 0."""
        outcomes = {source.outcome for source in self.sources}
        if outcomes & {"unreadable", *_NOT_CLEANED.values()}:
            return 3
        return 1 if "blocked" in outcomes else 0

    def to_json(self) -> dict[str, Any]:
        return {
            "deleted": self.deleted,
            "sources": [
                {
                    "path": source.path,
                    "outcome": source.outcome,
                    "deleted": source.deleted,
                    "left": source.left,
                    "conflicts": source.conflicts,
                    "backup": source.backup,
                    "reason": source.reason,
                    "remedy": source.remedy,
                }
                for source in self.sources
            ],
        }


class Cleanup:
    """Empties imported queues of one home, row by proven row."""

    def __init__(self, parts: Parts, home: Home, *, patience_s: float = PATIENCE_S) -> None:
        self._parts = parts
        self._home = home
        self._own = MigrationStore(parts.store)
        self._patience_s = patience_s

    def run(self, sources: Sequence[LegacySource]) -> CleanupReport:
        """Clean every queue that was imported; one that fails stops no other."""
        return CleanupReport(tuple(self._cleaned(sources)))

    def _cleaned(self, sources: Sequence[LegacySource]) -> Iterator[CleanedSource]:
        for source in sources:
            stored = self._own.source(source.name)
            if stored is None or stored.holds != "queue" or is_ignored(source.path, stored):
                continue
            try:
                yield self._clean(source, stored)
            except SourceError as exc:
                yield CleanedSource(
                    source.name,
                    _NOT_CLEANED.get(str(exc.facts.get("reason")), "unreadable"),
                    reason=str(exc.facts.get("detail", exc.message)),
                    remedy=exc.remedy,
                )

    def _clean(self, source: LegacySource, stored: StoredSource) -> CleanedSource:
        conflicts = self._own.troubled(stored.id).conflicts
        if conflicts:
            return CleanedSource(
                source.name,
                "blocked",
                conflicts=conflicts,
                reason="some of its ids are in conflict",
                remedy=_CONFLICTS,
            )
        if stored.outcome == "damaged":
            return CleanedSource(
                source.name, "kept", reason="the file is damaged; it is kept as it is"
            )
        with open_source(source, patience_s=self._patience_s) as view:
            if view.damage is not None or view.table != "queue":
                return CleanedSource(source.name, "kept", reason="it is no sound queue any more")
        return self._delete(source, stored)

    def _delete(self, source: LegacySource, stored: StoredSource) -> CleanedSource:
        path = source.path
        try:
            with closing(
                sqlite3.connect(
                    f"{path.as_uri()}?mode=rw",
                    uri=True,
                    isolation_level=None,
                    timeout=self._patience_s,
                )
            ) as conn:
                configure(conn)
                if (obstacle := _obstacle(conn)) is not None:
                    return CleanedSource(source.name, "kept", reason=obstacle)
                with _exclusive(conn):
                    return self._delete_in(conn, source, stored)
        except SQLITE_ERRORS as exc:
            raise translate_source(path, exc) from exc
        except OSError as exc:
            raise unreadable(path, exc) from exc

    def _delete_in(
        self, conn: sqlite3.Connection, source: LegacySource, stored: StoredSource
    ) -> CleanedSource:
        """Compare and delete inside the source's own transaction, which keeps others out."""
        proven: list[tuple[int]] = []
        left = conflicts = 0
        with self._parts.store.transaction():
            for row in queue_rows(conn):
                verdict = judge(row, self._parts.registry)
                standing = (
                    self._parts.journal.standing(verdict.event)
                    if isinstance(verdict, Candidate)
                    else None
                )
                if standing is Appended.SAME:
                    proven.append((row.row,))
                    continue
                left += 1
                if standing is Appended.CONFLICT and isinstance(verdict, Candidate):
                    conflicts += record_conflict(self._parts, stored.id, verdict)
        if not proven:
            return CleanedSource(source.name, "clean", left=left, conflicts=conflicts)
        backup = self._back_up(source)
        conn.executemany(_DELETE, proven)
        self._own.audit(
            "cleanup",
            source.name,
            reason="",
            detail=f"{len(proven)} rows deleted, {left} left, backup {backup}",
            now_ms=self._parts.clock.now_ms(),
        )
        return CleanedSource(
            source.name,
            "cleaned",
            deleted=len(proven),
            left=left,
            conflicts=conflicts,
            backup=str(backup),
        )

    def _back_up(self, source: LegacySource) -> Path:
        """Copy the whole source into the home before anything of it goes."""
        folder = self._home.root / "backups"
        make_private_dir(folder)
        moment = utc_iso(self._parts.clock.now_ms()).translate({58: None, 45: None, 46: None})
        target = folder / f"{source.path.stem}-{moment}.db"
        number = 1
        while target.exists():
            number += 1
            target = folder / f"{source.path.stem}-{moment}-{number}.db"
        touch_private(target)
        problem = _copy_beside(source.path, target)
        if problem is not None:
            target.unlink()
            remedy = f"Nothing was deleted. See that {folder} has room, then clean up again."
            raise source_error(source.path, "backup", f"its backup failed: {problem}", remedy)
        return target


def _copy_beside(origin: Path, target: Path) -> str | None:
    """Copy the database at *origin*; return what went wrong."""
    # A connection in a write transaction cannot be backed up from: read beside it.
    try:
        with (
            closing(sqlite3.connect(f"{origin.as_uri()}?mode=ro", uri=True)) as beside,
            closing(sqlite3.connect(target)) as copy,
        ):
            beside.backup(copy)
            check = str(copy.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as exc:
        return str(exc)
    return None if check == "ok" else check


def _obstacle(conn: sqlite3.Connection) -> str | None:
    """Return why single rows of this queue cannot be deleted with nothing else happening."""
    if not has_rowid(conn, "queue"):
        return "its rows have no numbers to delete them by"
    if has_trigger(conn, "queue"):
        return "it has a trigger, which would change more than the rows"
    return None


@contextmanager
def _exclusive(conn: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one write transaction on the source; undo everything if it fails."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
