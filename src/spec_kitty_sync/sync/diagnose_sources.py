"""Which sources diagnose reads: what still waits in a home, or what the operator names.

Without a path: the undelivered events of the journal and every legacy row that is not imported
yet. A path that is named is judged whole. Reading changes no byte of any of them.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from spec_kitty_sync._files import Home
from spec_kitty_sync._json import BOM, loads_lenient
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync._sqlite_open import APPLICATION_ID, open_reader
from spec_kitty_sync.diagnose import Source
from spec_kitty_sync.errors import JsonError, SpecKittyError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.diagnose_rows import (
    FileRows,
    JournalRows,
    LegacyRows,
    NothingImported,
    Standing,
    StreamRows,
    Unread,
)
from spec_kitty_sync.sync.legacy_open import SQLITE_MAGIC, unreadable
from spec_kitty_sync.sync.legacy_sources import (
    LegacyRow,
    LegacySource,
    SourceKind,
    discover,
    shown_path,
    source_error,
)
from spec_kitty_sync.sync.migrate_store import MigrationStore, is_ignored
from spec_kitty_sync.sync.store import steps
from spec_kitty_sync.sync.workspace import Workspace, read_workspace

_EVENT_FILES = (".json", ".jsonl", ".ndjson", ".gz")
_DATABASES = (".db", ".sqlite", ".sqlite3")
_APPLICATION_ID_AT = slice(68, 72)


def waiting_sources(settings: Settings) -> Iterator[Source]:
    """Yield what still waits in the home: the journal first, then legacy sources in import order.

    A journal that cannot be read is a source with a problem; nothing then counts as imported.
    """
    with ExitStack() as stack:
        workspace = None
        try:
            workspace = stack.enter_context(read_workspace(settings))
        except SpecKittyError as exc:
            yield Unread(shown_path(settings.home.journal_db), exc)
        if workspace is None:
            for source in discover(settings.home):
                if not source.is_empty:
                    yield LegacyRows(source, NothingImported())
            return
        yield _undelivered(settings.home, workspace)
        migration = MigrationStore(workspace.store)
        record = JournalRecord(workspace.journal, migration)
        for source in discover(settings.home):
            stored = migration.source(source.name)
            if not source.is_empty and (stored is None or not is_ignored(source.path, stored)):
                yield LegacyRows(source, record)


def named_sources(paths: Sequence[Path]) -> Iterator[Source]:
    """Yield the sources behind *paths*, each judged whole; `-` is standard input."""
    for path in paths:
        if str(path) == "-":
            yield StreamRows("-", lambda: nullcontext(sys.stdin.buffer))
            continue
        try:
            yield from _named(path)
        except FileNotFoundError:
            missing = source_error(path, "not_found", "there is no such file", "Check the path.")
            yield Unread(shown_path(path), missing)
        except OSError as exc:
            yield Unread(shown_path(path), unreadable(path, exc))


class JournalRecord:
    """Tells what became of legacy rows in a home: the journal's content decides, then the
    operator's decisions (corrected since, conflict resolved, quarantine accepted)."""

    def __init__(self, journal: SqliteJournal, migration: MigrationStore) -> None:
        self._journal = journal
        self._migration = migration

    def standing(self, source: str, row: LegacyRow) -> Standing:
        """Return what became of *row* of *source*."""
        stated = None if row.column_id else _stated_id(row)
        event_id = row.column_id or stated
        same = None
        if event_id is not None and row.body is not None and row.problem is None:
            same = self._journal.same_content(event_id, row.body.removeprefix(BOM))
        if same is True:
            return Standing.SETTLED
        decided = self._migration.standing(source, row, event_id=event_id)
        if decided is not None:
            return Standing(decided)
        if same is False and event_id == (stated or _stated_id(row)):
            return Standing.CONFLICT
        return Standing.WAITS


def _stated_id(row: LegacyRow) -> str | None:
    """Return the id that the event itself states, half surrogate pairs escaped."""
    try:
        event = loads_lenient((row.body or b"").removeprefix(BOM))
    except JsonError:
        return None
    event_id = event.get("event_id") if isinstance(event, dict) else None
    if not isinstance(event_id, str) or not event_id:
        return None
    return event_id.encode("utf-8", "backslashreplace").decode()


def _undelivered(home: Home, workspace: Workspace) -> Source:
    return JournalRows(
        shown_path(home.journal_db),
        lambda: nullcontext(workspace.store),
        waiting=True,
        target=workspace.known_target(),
    )


def _named(path: Path) -> Iterator[Source]:
    """Yield what *path* leads to, links included.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        yield from _folder(path)
    elif stat.S_ISREG(mode):
        yield _file(path)
    else:
        yield StreamRows(shown_path(path), lambda: cast(BinaryIO, path.open("rb")))


def _folder(folder: Path) -> Iterator[Source]:
    """Yield everything in a home, or the event files and databases of another folder."""
    home = Home(folder.absolute())
    journal = [home.journal_db] if home.journal_db.is_file() else []
    legacy = [LegacyRows(source) for source in discover(home)]
    if journal or legacy:
        yield from (_journal_file(path) for path in journal)
        yield from legacy
        return
    names = sorted(folder.iterdir())
    files = [each for each in names if each.suffix.lower() in (*_EVENT_FILES, *_DATABASES)]
    if not files:
        reason = "there is no journal, no queue and no file of events in it"
        yield Unread(
            shown_path(folder), source_error(folder, "no_events", reason, "Name the file itself.")
        )
    yield from named_sources(files)


def _file(path: Path) -> Source:
    """Return the reader for the file at *path*, chosen by its first bytes, then by its name."""
    with path.open("rb") as stream:
        head = stream.read(100)
    if head[_APPLICATION_ID_AT] == APPLICATION_ID.to_bytes(4, "big") or path.name == "journal.db":
        return _journal_file(path)
    if head.startswith(SQLITE_MAGIC) or path.suffix.lower() in _DATABASES:
        source = LegacySource(path.resolve(), SourceKind.NAMED)
        return LegacyRows(source, name=shown_path(path))
    return FileRows(path)


def _journal_file(path: Path) -> Source:
    return JournalRows(shown_path(path), lambda: _open_journal(path))


def _open_journal(path: Path) -> Store:
    store = open_reader(path.absolute(), steps())
    if store is None:
        raise source_error(path, "zero_bytes", "the file is empty (0 bytes)", "Restore it.")
    return store
