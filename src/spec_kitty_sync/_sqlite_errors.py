"""What SQLite's errors mean, and the ways out of a damaged file."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from spec_kitty_sync._files import disk_error, make_writable, move_away, moved_away
from spec_kitty_sync.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreDiskError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    UnsafePathError,
)

# SQLite quotes a damaged schema in its message, and Python cannot read that.
STORE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
_SQLITE_HANDLES = 4  # database, log, shared memory, folder
# What Python says to a number where text belongs, or to bytes that are no text.
SENSELESS = (TypeError, ValueError, LookupError, AttributeError)


def translate(exc: sqlite3.Error | UnicodeDecodeError, path: Path | str) -> StoreError:
    """Return the store error that *exc* means, naming *path*."""
    name, text = _name(exc), f"{path}: {exc}"
    if name.startswith("SQLITE_FULL"):
        return StoreFullError(text, path=str(path))
    if is_busy(exc):
        return StoreBusyError(text, path=str(path))
    if _damaged(exc):
        return corrupt(text, Path(path))
    if name.startswith("SQLITE_CANTOPEN"):
        return _not_opened(text, Path(path))
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return StoreReadOnlyError(text, remedy=make_writable(Path(path)), path=str(path))
    if is_io_error(exc):
        return StoreDiskError(text, path=str(path))
    return StoreError(text, path=str(path))


def is_busy(exc: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Whether another connection stood in the way, so that a second attempt may do."""
    return _name(exc).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def is_io_error(exc: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Whether the disk failed: during a commit nobody knows then what it holds."""
    return _name(exc).startswith("SQLITE_IOERR")


def _name(exc: Exception) -> str:
    return getattr(exc, "sqlite_errorname", None) or ""


def _damaged(exc: sqlite3.Error | UnicodeDecodeError) -> bool:
    return (
        _name(exc).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
        or isinstance(exc, UnicodeDecodeError)
        or str(exc).startswith(("no such table", "no such column"))
    )


def _not_opened(text: str, path: Path) -> StoreError:
    """Return why, which SQLite does not say: no right to, no file handle left, or the disk."""
    if (exhausted := _no_handles()) is not None:
        return disk_error(text, exhausted)
    remedy = make_writable(path)
    if path.exists() and remedy is None:
        return StoreDiskError(text, path=str(path))
    return StoreReadOnlyError(text, remedy=remedy, path=str(path))


def _no_handles() -> OSError | None:
    """Return what opening as many files as SQLite holds at a time ends with, if it fails."""
    probes: list[int] = []
    try:
        for _ in range(_SQLITE_HANDLES):
            probes.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as exc:
        return exc
    finally:
        for each in probes:
            os.close(each)
    return None


def corrupt(text: str, path: Path) -> StoreCorruptError:
    """Return the error with both ways out: a backup, or a new beginning that keeps what is left."""
    remedy = f"{StoreCorruptError.default_remedy} Without one, begin anew. {move_database(path)}"
    if size_of(path):
        remedy += f" What it still gives comes back with {_read_again(path)}."
    return StoreCorruptError(text, remedy=remedy, path=str(path))


def _read_again(path: Path) -> str:
    import shlex  # only remedies quote

    return f"`spec-kitty sync migrate --from {shlex.quote(str(moved_away(path)))}`"


def move_database(path: Path) -> str:
    """Return the remedy that sets a database and its log aside."""
    there = [path] if path.exists() else []
    # An empty log is none, and the last connection to close takes it away.
    return move_away(*there, *(wal for wal in (wal_of(path),) if size_of(wal)))


def wal_of(path: Path) -> Path:
    """Return the write-ahead log of the database at *path*."""
    return path.with_name(path.name + "-wal")


def check_place(path: Path) -> None:
    """Raise where SQLite must not even look at *path*, for all it would say or do.

    Beside a missing or empty database it throws the log away, and with it events; a reader too.

    Raises:
        UnsafePathError: a folder or the like. StoreCorruptError: only the log is left.
    """
    if path.exists() and not path.is_file():
        raise UnsafePathError(f"{path} is not a regular file", remedy=move_away(path))
    wal = wal_of(path)
    # The log first: who makes the two right now writes to it when the database is there.
    if size_of(wal) and not size_of(path):
        raise corrupt(f"{path} is missing or empty, but its log {wal.name} is not", path)


def size_of(path: Path) -> int:
    """Return how many bytes the file has; 0 without one, or where it goes in this moment."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def is_sound(conn: sqlite3.Connection) -> bool:
    """Whether every page and every value is what the schema says; reads the whole file.

    Raises:
        sqlite3.Error: it could not be looked at, which says nothing of what it holds.
    """
    try:
        return bool(conn.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except STORE_ERRORS as exc:
        if _damaged(exc):
            return False
        raise
