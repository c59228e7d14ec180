"""What SQLite's errors mean, and the ways out of a damaged file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from spec_kitty_sync._files import make_writable, move_away
from spec_kitty_sync.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUncertainError,
    UnsafePathError,
)

# SQLite quotes a damaged schema in its message, and Python cannot read that.
OPENING_ERRORS = (sqlite3.Error, UnicodeDecodeError)
# What Python says to a number where text belongs, or to bytes that are no text.
SENSELESS = (TypeError, ValueError, LookupError, AttributeError)


def translate(exc: sqlite3.Error | UnicodeDecodeError, path: Path | str) -> StoreError:
    """Return the store error that *exc* means, naming *path*."""
    name = getattr(exc, "sqlite_errorname", None) or ""
    text = f"{path}: {exc}"
    if name.startswith("SQLITE_FULL"):
        return StoreFullError(text, path=str(path))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusyError(text, path=str(path))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or _damaged_schema(exc):
        return corrupt(text, Path(path))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreReadOnlyError(text, remedy=make_writable(Path(path)), path=str(path))
    if name.startswith("SQLITE_IOERR"):
        return StoreUncertainError(text, path=str(path))
    return StoreError(text, path=str(path))


def _damaged_schema(exc: sqlite3.Error | UnicodeDecodeError) -> bool:
    return isinstance(exc, UnicodeDecodeError) or str(exc).startswith("no such table")


def corrupt(text: str, path: Path) -> StoreCorruptError:
    """Return the error with both ways out: a backup, or a new beginning that keeps what is left."""
    remedy = f"{StoreCorruptError.default_remedy} Without one, begin anew. {move_database(path)}"
    return StoreCorruptError(text, remedy=remedy, path=str(path))


def move_database(path: Path) -> str:
    """Return the remedy that sets a database and its log aside."""
    return move_away(*(each for each in (path, wal_of(path)) if each.exists()))


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
    if not size_of(path) and size_of(wal):
        raise corrupt(f"{path} is missing or empty, but its log {wal.name} is not", path)


def size_of(path: Path) -> int:
    """Return how many bytes the file has; 0 without one."""
    return path.stat().st_size if path.exists() else 0


def is_sound(conn: sqlite3.Connection) -> bool:
    """Whether every page and every value is what the schema says; reads the whole file."""
    try:
        return bool(conn.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
    except (sqlite3.Error, UnicodeDecodeError):
        return False
