"""The kinds of sources that diagnose reads: our journal, legacy queues, files, a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.diagnose import Row
from spec_kitty_sync.errors import SpecKittyError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.findings import Finding
from spec_kitty_sync.sync.legacy_files import iterate_file, iterate_stream
from spec_kitty_sync.sync.legacy_rows import open_source
from spec_kitty_sync.sync.legacy_sources import (
    LegacyRow,
    LegacySource,
    SourceKind,
    shown_path,
    source_error,
)

_CHUNK = 500
_RETAINED = """
SELECT seq FROM journal_ids WHERE seq > :after AND NOT archived ORDER BY seq LIMIT :n
"""
_UNDELIVERED = """
SELECT j.seq FROM journal_ids j
WHERE j.seq > :after AND NOT j.archived AND NOT j.superseded
  AND NOT EXISTS (SELECT 1 FROM delivery_ledger l
                  WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.seq = j.seq
                    AND l.state = 'delivered')
ORDER BY j.seq LIMIT :n
"""
_CONFLICT = Finding(
    "migration_conflict", "warning", "", "the journal holds other content under this id"
)
_IMPORT_FIRST = (
    "Old queues are imported with `spec-kitty sync migrate`; correct single events after that."
)
_CORRUPT = Finding("corrupt", "error", "", "the stored bytes are not those that were accepted")


class Standing(StrEnum):
    """What became of a legacy row: SETTLED needs nothing more, WAITS was never imported."""

    SETTLED = "settled"
    WAITS = "waits"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"


class ImportRecord(Protocol):
    """Knows what became of the rows of legacy sources."""

    def standing(self, source: str, row: LegacyRow) -> Standing:
        """Return what became of *row* of *source*."""
        ...


class NothingImported:
    """The record of a home without a journal: every row waits."""

    def standing(self, source: str, row: LegacyRow) -> Standing:
        return Standing.WAITS


class JournalRows:
    """The retained events of a journal; with `waiting` only those that *target* lacks.

    Without a target nothing counts as delivered.
    """

    def __init__(
        self,
        name: str,
        opened: Callable[[], AbstractContextManager[Store]],
        *,
        waiting: bool = False,
        target: Target | None = None,
    ) -> None:
        self.name = name
        self.advice = None
        self.passed_over = 0
        self._opened = opened
        self._query = _UNDELIVERED if waiting else _RETAINED
        self._where = {
            "target_id": target.target_id if target else None,
            "epoch": target.epoch if target else None,
        }
        self._read = self._all = 0

    @property
    def position(self) -> tuple[int, int] | None:
        return self._read, self._all

    def rows(self) -> Iterator[Row]:
        with self._opened() as store:
            journal = SqliteJournal(store, clock=SystemClock())
            kept = [group for group in journal.counts() if group.removed is None]
            self._all = sum(group.bytes for group in kept)
            self.passed_over = sum(group.events for group in kept)
            for seq, body, notes in self._events(store, journal):
                self._read += len(body)
                self.passed_over -= 1
                yield Row(self.name, seq, body, notes=notes)

    def _events(
        self, store: Store, journal: SqliteJournal
    ) -> Iterator[tuple[int, bytes, tuple[Finding, ...]]]:
        after = 0
        while True:
            with store.reading() as conn:
                found = conn.execute(self._query, {**self._where, "after": after, "n": _CHUNK})
                seqs = [seq for (seq,) in found]
            if not seqs:
                return
            for seq, _, body, sha256 in journal.bodies(seqs):
                intact = hashlib.sha256(body).digest() == sha256
                yield seq, body, () if intact else (_CORRUPT,)
            after = seqs[-1]


class LegacyRows:
    """The rows of a legacy source; with an import record only those that it does not settle."""

    def __init__(
        self,
        source: LegacySource,
        record: ImportRecord | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.name = name or source.name
        self.advice: str | None = None
        self.passed_over = 0
        self._source = source
        self._record = record
        self._read = 0

    @property
    def position(self) -> tuple[int, int] | None:
        try:
            return self._read, self._source.path.stat().st_size
        except OSError:
            return None

    def rows(self) -> Iterator[Row]:
        with open_source(self._source) as view:
            if view.table is None and (view.foreign_rows or self._source.kind is SourceKind.NAMED):
                raise source_error(
                    self._source.path, "no_events", "it has no table of events", _NOT_A_QUEUE
                )
            for found in view.rows():
                self._read += len(found.body or b"")
                row = Row(
                    self.name, found.row, found.body, found.problem,
                    found.column_id, found.column_type,
                )  # fmt: skip
                match self._record and self._record.standing(self._source.name, found):
                    case Standing.SETTLED:
                        self.passed_over += 1
                        continue
                    case Standing.WAITS:
                        self.advice = _IMPORT_FIRST
                    case Standing.CONFLICT:
                        row = row._replace(notes=(_CONFLICT,))
                yield row
            if view.damage:
                raise source_error(
                    self._source.path, "damaged", f"SQLite says: {view.damage}", _IN_PART
                )


class FileRows:
    """The events of a file: JSON, JSON Lines, either gzipped."""

    advice = None
    passed_over = 0

    def __init__(self, path: Path) -> None:
        self.name = shown_path(path)
        self._path = path
        self._read = 0
        self._size = 0

    @property
    def position(self) -> tuple[int, int] | None:
        return (self._read, self._size) if self._read <= self._size else None

    def rows(self) -> Iterator[Row]:
        for found in iterate_file(self._path):
            if not self._size:
                self._size = self._path.stat().st_size
            body = found.body
            self._read += len(body) + 1 if body is not None else 1
            yield Row(self.name, found.row, body, found.problem)


class StreamRows:
    """The events of a stream that can be read once."""

    advice = None
    passed_over = 0
    position = None

    def __init__(self, name: str, stream: Callable[[], AbstractContextManager[BinaryIO]]) -> None:
        self.name = name
        self._stream = stream

    def rows(self) -> Iterator[Row]:
        try:
            with self._stream() as stream:
                for found in iterate_stream(stream, Path(self.name)):
                    yield Row(self.name, found.row, found.body, found.problem)
        except OSError as exc:
            raise source_error(
                Path(self.name), "unreadable", exc.strerror or str(exc), "Check the input."
            ) from exc


class Unread:
    """A source that is known and cannot be read."""

    advice = None
    passed_over = 0
    position = None

    def __init__(self, name: str, error: SpecKittyError) -> None:
        self.name = name
        self._error = error

    def rows(self) -> Iterator[Row]:
        raise self._error


_NOT_A_QUEUE = "Name a queue, a journal or a file of events; this database is something else."
_IN_PART = (
    "What could be read was judged, and `spec-kitty sync migrate` imports as much. If a backup "
    "holds more, name it with `--from FILE`; then `spec-kitty sync migrate sources ignore` this."
)
