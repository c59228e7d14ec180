"""What is known of each legacy source: listed, left alone on request, and what waits in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._json import BOM
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.errors import SourceError, UsageError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.sync.legacy_open import fingerprint_of
from spec_kitty_sync.sync.legacy_rows import SourceView, chunks, open_source
from spec_kitty_sync.sync.legacy_sources import (
    LegacyRow,
    LegacySource,
    SourceKind,
    discover,
    ignore_command,
    shown_path,
)
from spec_kitty_sync.sync.migrate_marks import fingerprint_any, stamp_of
from spec_kitty_sync.sync.migrate_report import NO_EVENTS
from spec_kitty_sync.sync.migrate_store import MigrationStore, StoredSource, is_ignored

_PATIENCE_S = 1.0


@dataclass(frozen=True)
class KnownSource:
    """One source as `sources list` shows it; `scope` None means unknown."""

    path: str
    kind: str
    digest: str | None
    scope: str | None
    outcome: str | None
    rows: int
    problem: str | None
    ignored: str | None


@dataclass(frozen=True)
class Waiting:
    """One source and how many of its rows the journal has not got; None when unreadable.

    `remedy` is what helps where there is a problem.
    """

    path: str
    kind: str
    problem: str | None
    rows: int | None
    waiting: int | None
    remedy: str | None = None
    body_uploads: int = 0
    body_failures: int = 0


def list_sources(home: Home, store: Store | None) -> tuple[KnownSource, ...]:
    """Return every source that is there or was read before. Writes nothing."""
    stored = {s.path: s for s in MigrationStore(store).sources()} if store else {}
    found = {source.name: source for source in discover(home)}
    return tuple(_known(path, found.get(path), stored.get(path)) for path in {**found, **stored})


def _known(path: str, source: LegacySource | None, stored: StoredSource | None) -> KnownSource:
    problem = source.problem.reason if source and source.problem else None
    return KnownSource(
        path=path,
        kind=source.kind.value if source else stored.kind if stored else "",
        digest=source.digest if source else stored.digest if stored else None,
        scope=stored.scope if stored else None,
        outcome=stored.outcome if stored else None,
        rows=stored.row_count if stored else 0,
        problem=problem,
        ignored=stored.ignored_reason if stored else None,
    )


def ignore(home: Home, store: Store, path: Path, *, reason: str, clock: Clock) -> KnownSource:
    """Leave the source at *path* alone until its bytes change; audited.

    Raises:
        UsageError: nothing is there, or no reason is given.
    """
    if not reason.strip():
        raise UsageError("no reason is given", remedy="Add `--reason TEXT`.")
    source = _named(home, path)
    own = MigrationStore(store)
    with store.transaction():
        stored = own.open_source(source)
        own.ignore(stored.id, reason, fingerprint_any(source.path))
        own.audit("source.ignore", source.name, reason=reason, detail=None, now_ms=clock.now_ms())
    return _known(source.name, source, own.source(source.name))


def unignore(store: Store, path: Path, *, clock: Clock) -> KnownSource:
    """Read the source at *path* again from the next migration on; audited.

    Raises:
        UsageError: it is not ignored.
    """
    own = MigrationStore(store)
    name = shown_path(path.expanduser().absolute())
    stored = own.source(name)
    if stored is None or stored.ignored_reason is None:
        raise UsageError(
            f"{name} is not ignored",
            remedy="Run `spec-kitty sync migrate sources list` to see those that are.",
        )
    with store.transaction():
        own.ignore(stored.id, None, None)
        own.audit("source.unignore", name, reason="", detail=None, now_ms=clock.now_ms())
    return _known(name, None, own.source(name))


def _named(home: Home, path: Path) -> LegacySource:
    absolute = path.expanduser().absolute()
    wanted = shown_path(absolute)
    for source in discover(home, [absolute]):
        if source.name == wanted:
            if source.problem and source.problem.code == "vanished":
                break
            return source
    if absolute.is_dir():
        return LegacySource(absolute, discover(home, [absolute])[-1].kind)
    raise UsageError(f"{wanted} is not there", remedy="Check the path.")


def waiting(home: Home, store: Store | None) -> tuple[Waiting, ...]:
    """Return what each source of *home* holds that the journal does not. Writes nothing.

    An event that waits in several sources is counted in the first. A source whose files look
    as they did when it was imported is not opened again; one that the operator ignores is
    left out until it changes.
    """
    known = _Known(store) if store else None
    return tuple(_all_waiting(discover(home), known))


class _Known:
    """What a home knows of rows in legacy sources."""

    def __init__(self, store: Store) -> None:
        self.own = MigrationStore(store)
        self._journal = SqliteJournal(store, clock=SystemClock())

    def fresh(self, rows: Sequence[LegacyRow], path: str, held: frozenset[int]) -> list[LegacyRow]:
        """Return the *rows* that a migration would bring; *held* are those in quarantine once."""
        hashes = self.own.known([row.column_id for row in rows if row.column_id])
        return [
            row
            for row in rows
            if (known := hashes.get(row.column_id or ""))
            != hashlib.sha256(row.body or b"").digest()
            and ((known is None and row.row not in held) or self._lacks(path, row))
        ]

    def _lacks(self, path: str, row: LegacyRow) -> bool:
        """Tell whether a migration would find something new in *row*."""
        event_id, body = row.column_id, (row.body or b"").removeprefix(BOM)
        if event_id and self._journal.same_content(event_id, body):
            return False
        return self.own.standing(path, row, event_id=event_id) is None


def _all_waiting(sources: Iterable[LegacySource], known: _Known | None) -> Iterator[Waiting]:
    seen: set[int] = set()
    own = known.own if known else None
    for found in sources:
        source, stored = own.recognise(found) if own else (found, None)
        if stored and is_ignored(source.path, stored):
            continue
        if own and own.links_to_imported(source):
            continue
        if stored and _as_imported(source, stored):
            yield Waiting(
                source.name,
                source.kind.value,
                None,
                stored.row_count,
                0,
                body_uploads=stored.body_uploads,
                body_failures=stored.body_failures,
            )
            continue
        if source.is_empty:
            yield Waiting(source.name, source.kind.value, None, 0, 0)
            continue
        try:
            with open_source(source, patience_s=_PATIENCE_S, check=False) as view:
                yield _count(view, known, stored, seen)
        except SourceError as exc:
            detail = str(exc.facts.get("detail", exc.message))
            yield Waiting(source.name, source.kind.value, detail, None, None, exc.remedy)


def _as_imported(source: LegacySource, stored: StoredSource) -> bool:
    """Tell whether the files are those that were imported: by size and times, else by bytes."""
    if stored.fingerprint is None or source.problem is not None:
        return False
    if stored.stamp and stamp_of(source.path, now_ms=2**62) == stored.stamp:
        return True
    try:
        return fingerprint_of(source.path) == stored.fingerprint
    except OSError:
        return False


def _count(
    view: SourceView, known: _Known | None, stored: StoredSource | None, seen: set[int]
) -> Waiting:
    """Count the rows of one source; *seen* holds the hashes of ids that wait elsewhere."""
    source = view.source
    if view.foreign_rows and source.kind is not SourceKind.NAMED:
        remedy = f"Run {ignore_command(source.path)}."
        return Waiting(source.name, source.kind.value, NO_EVENTS, None, None, remedy)
    held = known.own.quarantined_rows(stored.id) if known and stored else frozenset()
    rows = waits = 0
    for chunk in chunks(view.rows()):
        rows += len(chunk)
        fresh = known.fresh(chunk, source.name, held) if known else chunk
        waits += sum(1 for row in fresh if not row.column_id)
        new = {hash(row.column_id) for row in fresh if row.column_id}
        waits += len(new - seen)
        seen |= new
    return Waiting(
        source.name,
        source.kind.value,
        None,
        rows,
        waits,
        body_uploads=view.body_uploads,
        body_failures=view.body_failures,
    )
