"""Backup and restore of a home's database (CONTRACT 6, Retention).

A backup is one self-contained file. A restore happens in one atomic step inside the live
database: whoever has it open sees the old state or the new one, and so does a crash.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync._clock import Clock, SystemClock, utc_iso
from spec_kitty_sync._files import (
    Home,
    create_private,
    discard_file,
    disk_error,
    sync_dir,
    touch_private,
)
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync._sqlite_errors import is_sound, translate
from spec_kitty_sync._sqlite_open import check_ours, has_schema, open_store
from spec_kitty_sync.delivery.lock import WAIT_S, no_drain
from spec_kitty_sync.delivery.redelivery import assume_sent, begin_after_restore
from spec_kitty_sync.errors import (
    SourceError,
    StoreCorruptError,
    StoreVersionError,
    UsageError,
)
from spec_kitty_sync.event_journal.merging import Merged, merge_newer
from spec_kitty_sync.sync.correlation import merge_correlations
from spec_kitty_sync.sync.migrate_home import migration_lock
from spec_kitty_sync.sync.migrate_merging import merge_migrations
from spec_kitty_sync.sync.store import open_home, steps

# Where the present file cannot be read, nobody knows how many numbers it gave out.
_UNKNOWN_GAP = 1_000_000

_TOP = "SELECT seq FROM sqlite_sequence WHERE name = 'event_journal'"
_SET_TOP = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'event_journal' AND seq < ?"
_ADD_TOP = """
INSERT INTO sqlite_sequence (name, seq) SELECT 'event_journal', ?
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'event_journal')
"""
_CLOCK = "SELECT value FROM identity_clock WHERE id = 1"
_SET_CLOCK = "UPDATE identity_clock SET value = max(value, ?) WHERE id = 1"
_BODIES = "SELECT event_id, body, body_sha256 FROM event_journal WHERE body IS NOT NULL"
_COUNT = "SELECT count(*) FROM event_journal"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """One finished backup; sizes in bytes."""

    path: Path
    events: int
    size: int


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore did. `carried_over` events were newer than the backup and are kept.

    `replaced` and `discarded` count events of the backup that were corrected since, and stay so.
    `set_aside` is a copy of the database as it was before, None if there was none; if it is
    `damaged`, events that were newer than the backup can be in it alone.
    """

    source: Path
    events: int
    carried_over: int
    replaced: int
    discarded: int
    set_aside: Path | None
    damaged: bool = False


def back_up(home: Home, target: Path) -> BackupReport:
    """Copy the home's database to *target*, consistent and verified, while others may write.

    Raises:
        UsageError: *target* exists, or the home has no journal.
        StoreError: the database cannot be read, or the disk is full.
    """
    if not home.journal_db.exists():
        raise UsageError(
            f"{home.root} has no journal yet", remedy="Check --home or SPEC_KITTY_HOME."
        )
    with open_home(home) as store:
        create_private(target)
        try:
            _copy(store.conn, target)
            events = _verify(target)
            sync_dir(target.absolute().parent)
        except sqlite3.Error as exc:
            failure = translate(exc, target)
            discard_file(target)
            raise failure from exc
        except OSError as exc:
            discard_file(target)
            raise disk_error(str(target), exc) from exc
    return BackupReport(target, events, target.stat().st_size)


def _copy(source: sqlite3.Connection, target: Path) -> None:
    """Write *source* to *target* as a single file that needs no write-ahead log."""
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _verify(path: Path) -> int:
    """Return how many events the database at *path* has, after looking at every byte of it.

    Raises:
        StoreCorruptError: a page or a row is damaged.
        StoreVersionError: not ours, or newer than we are.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as conn:
        if check_ours(conn, path, len(steps())) == 0:
            raise StoreVersionError(f"{path} holds no journal")
        found = conn.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreCorruptError(f"{path} is damaged: {found}")
        for event_id, body, sha256 in conn.execute(_BODIES):
            if hashlib.sha256(body).digest() != sha256:
                raise StoreCorruptError(f"{path}: the bytes of event {event_id} are damaged")
        return int(conn.execute(_COUNT).fetchone()[0])


def restore(
    home: Home, source: Path, *, clock: Clock | None = None, lock_wait_s: float = WAIT_S
) -> RestoreReport:
    """Put the backup *source* in place of the home's database.

    No sequence number, clock value or target is given out a second time; what is newer than the
    backup is kept, if the present file can be read: events, corrections, targets, what migrations
    found. Every target starts a new epoch, because nobody knows any more what it was told since.
    No delivery and no migration runs meanwhile.

    Raises:
        SourceError: *source* is missing. StoreCorruptError, StoreVersionError: it is no backup.
        DrainLockedError, MigrationError: a delivery, restore or migration is running.
            Nothing was changed in any of these cases.
    """
    clock = clock or SystemClock()
    if not source.is_file():
        raise SourceError(f"{source} is not a file", remedy="Name a file made by `sync backup`.")
    if source.with_name(source.name + "-wal").exists():
        raise SourceError(
            f"{source} has a write-ahead log beside it, so it is a live database",
            remedy="Name a file made by `spec-kitty sync backup`.",
        )
    try:
        events = _verify(source)
    except sqlite3.Error as exc:
        raise translate(exc, source) from exc
    with (
        migration_lock(home, wait_s=lock_wait_s),
        no_drain(home.locks_dir, wait_s=lock_wait_s),
        ExitStack() as stack,
    ):
        # What comes into being after this look is nobody's wreck: it is merged.
        found = [part for part in _parts(home.journal_db) if part.exists()]
        present = stack.enter_context(_present(home)) if found else None
        aside = _set_aside(home, present, found, clock) if found else None
        merged = _replace(home, present, source, clock)
    return RestoreReport(
        source,
        events,
        carried_over=merged.added,
        replaced=merged.replaced,
        discarded=merged.discarded,
        set_aside=aside,
        damaged=present is None and aside is not None,
    )


@contextmanager
def _present(home: Home) -> Iterator[Store | None]:
    """Yield the live database, or None where it is missing or damaged anywhere."""
    if not home.journal_db.exists():
        yield None
        return
    try:
        store = open_home(home)
    except StoreCorruptError:
        # Only what is beyond reading is passed over: a disk that fails for a moment is not.
        yield None
        return
    with store:
        with store.reading() as conn:
            sound = is_sound(conn) and has_schema(conn, steps())
        yield store if sound else None


def _parts(database: Path) -> list[Path]:
    return [database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm")]


def _set_aside(home: Home, present: Store | None, found: Sequence[Path], clock: Clock) -> Path:
    stamp = utc_iso(clock.now_ms()).replace(":", "").replace(".", "")
    aside = home.root / f"journal.db.before-restore-{stamp}"
    if present is not None:
        touch_private(aside)
        try:
            _copy(present.conn, aside)
        except sqlite3.Error as exc:
            raise translate(exc, aside) from exc
        return aside
    try:
        for part, place in zip(_parts(home.journal_db), _parts(aside), strict=True):
            if part in found and part.exists():
                part.rename(place)
    except OSError as exc:
        raise disk_error(f"cannot set {home.journal_db} aside", exc) from exc
    return aside


def _replace(home: Home, present: Store | None, source: Path, clock: Clock) -> Merged:
    """Prepare the new state beside the live database, then swap it in at once."""
    draft_path = home.root / "journal.db.restoring"
    _clear_draft(home)
    home.ensure()
    touch_private(draft_path)
    try:
        with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro&immutable=1", uri=True)) as old:
            _copy(old, draft_path)
        with ExitStack() as stack:
            # Where there was nothing to read, somebody may have begun a new journal since.
            store = present or stack.enter_context(open_home(home))
            live = stack.enter_context(store.writing())
            merged = _prepare(draft_path, live, clock, gap=0 if present else _UNKNOWN_GAP)
            with closing(sqlite3.connect(draft_path)) as ready:
                ready.backup(live)
    except sqlite3.Error as exc:
        raise translate(exc, home.journal_db) from exc
    finally:
        _clear_draft(home)
    return merged


def _clear_draft(home: Home) -> None:
    for leftover in home.root.glob("journal.db.restoring*"):
        discard_file(leftover)


def _prepare(draft_path: Path, live: sqlite3.Connection, clock: Clock, *, gap: int) -> Merged:
    """Bring the copy of the backup to the state to restore; return what was newer.

    *gap*: how many numbers may have been given out that stand in neither of both.
    """
    with open_store(draft_path, steps()) as draft:
        top, value = _given_out(draft.conn, live)
        top, value = top + gap, value + gap
        with draft.transaction() as conn:
            conn.execute(_SET_TOP, (top, top))
            conn.execute(_ADD_TOP, (top,))
            conn.execute(_SET_CLOCK, (value,))
            begin_after_restore(draft, clock=clock, live=live)
            merged = merge_newer(conn, live)
            merge_migrations(conn, live)
            merge_correlations(conn, live)
            assume_sent(draft, clock=clock)
            return merged


def _given_out(*stores: sqlite3.Connection) -> tuple[int, int]:
    """Return the highest sequence number and clock value that *stores* know of."""
    tops = [row[0] for conn in stores for row in conn.execute(_TOP)]
    return max(tops, default=0), max(conn.execute(_CLOCK).fetchone()[0] for conn in stores)
