"""Opening a foreign SQLite file without changing one byte of it or of its folder.

A rollback-mode file without sidecars is read in place (`mode=ro` takes a shared lock and
writes nothing). Anything else, a write-ahead log or a journal that a crash left, is copied
with its sidecars into a private temporary folder and recovered there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync._sqlite_open import APPLICATION_ID
from spec_kitty_sync.errors import SourceError
from spec_kitty_sync.sync.legacy_sources import (
    LegacySource,
    SourceKind,
    ignore_command,
    quoted,
    shown_path,
    source_error,
)

PATIENCE_S = 5.0
SQLITE_MAGIC = b"SQLite format 3\x00"
# Python cannot decode a message in which SQLite quotes the bytes of a damaged schema.
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
_COPIED_SIDECARS = ("-wal", "-journal")  # the -shm index is rebuilt from the log
_IN_USE = "journal.db"  # under this name a home's journal is open, or may be at any moment
_CHUNK = 1 << 20
_PAGE_SIZE = 4096
_ROOM = "See that the disk works and has room, then run the same command again."
_RETRY = "Run the same command again when no other spec-kitty command is running."


@dataclass(frozen=True)
class OpenedSource:
    """A readable view of a source; `fingerprint` is the SHA-256 of its bytes and sidecars."""

    source: LegacySource
    conn: sqlite3.Connection
    fingerprint: bytes


@contextmanager
def open_database(
    source: LegacySource, *, patience_s: float = PATIENCE_S, clock: Clock | None = None
) -> Iterator[OpenedSource]:
    """Give a consistent read-only view of *source*; nothing beside it is created or changed.

    Errors that SQLite meets while the block reads are translated too.

    Raises:
        SourceError: unreadable, busy for longer than *patience_s*, no database, or ours.
    """
    clock = clock or SystemClock()
    try:
        if _readable_in_place(source.path):
            fingerprint = fingerprint_of(source.path)
            with closing(_connect(source.path, patience_s)) as conn:
                if _starts_reading(conn):
                    yield _checked(source, conn, fingerprint)
                    return
        with tempfile.TemporaryDirectory(prefix="spec-kitty-") as folder:
            copy, fingerprint = _copy_stable(source.path, Path(folder), patience_s, clock)
            _lift_empty(copy)
            with closing(sqlite3.connect(copy, isolation_level=None)) as conn:
                configure(conn)
                conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
                yield _checked(source, conn, fingerprint)
    except SQLITE_ERRORS as exc:
        raise translate_source(source.path, exc) from exc
    except OSError as exc:
        raise unreadable(source.path, exc) from exc


def translate_source(path: Path, exc: sqlite3.Error | UnicodeDecodeError) -> SourceError:
    """Return the source error that SQLite's *exc* means for a foreign file."""
    name = getattr(exc, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return source_error(path, "busy", "another program holds a lock on it", _RETRY)
    if name.startswith("SQLITE_NOTADB"):
        return source_error(path, "not_sqlite", "it is not an SQLite database", _recover(path))
    if name.startswith("SQLITE_CANTOPEN"):
        return source_error(path, "cannot_open", "it cannot be opened", f"Check {quoted(path)}.")
    if name.startswith("SQLITE_READONLY"):
        remedy = f"Run `chmod u+w {quoted(path)}`, then again."
        return source_error(path, "permission", "you may not write it", remedy)
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) and not name.endswith("SHORT_READ"):
        return source_error(path, "no_space", f"SQLite says: {exc}", _ROOM)
    said = "its schema is unreadable" if isinstance(exc, UnicodeDecodeError) else str(exc)
    return damaged(path, f"SQLite says: {said}")


def damaged(path: Path, reason: str) -> SourceError:
    """Return the source error for a file whose bytes are wrong."""
    return source_error(path, "damaged", reason, _recover(path))


def _recover(path: Path) -> str:
    return (
        "If a backup holds its events, or `sqlite3 FILE .recover` saves them, name that file "
        f"with `--from`. Then run {ignore_command(path)}."
    )


def unreadable(path: Path, exc: OSError) -> SourceError:
    """Return the source error for a file that the operating system does not hand out."""
    shown = shown_path(path)
    if isinstance(exc, FileNotFoundError):
        return source_error(path, "vanished", "the file is gone", "Run the same command again.")
    if isinstance(exc, PermissionError):
        return source_error(
            path,
            "permission",
            "you may not read it",
            f"Run `chmod u+r {quoted(path)}`, then again.",
        )
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f"there is no room for a copy of it in {tempfile.gettempdir()}"
        return source_error(
            path, "no_space", where, "Make room there, or set TMPDIR; run it again."
        )
    return source_error(path, "unreadable", exc.strerror or str(exc), f"Check {shown}.")


def fingerprint_of(path: Path) -> bytes:
    """Return the SHA-256 over the bytes of *path* and of its write-ahead log or journal.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    for suffix in ("", *_COPIED_SIDECARS):
        try:
            with path.with_name(path.name + suffix).open("rb") as stream:
                digest.update(b"%s\0%d\0" % (suffix.encode(), os.fstat(stream.fileno()).st_size))
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except FileNotFoundError:
            if not suffix:
                raise
    return digest.digest()


def _readable_in_place(path: Path) -> bool:
    """Tell whether *path* is in rollback mode and has no sidecar that SQLite would act on."""
    if any(path.with_name(path.name + suffix).exists() for suffix in (*_COPIED_SIDECARS, "-shm")):
        return False
    with path.open("rb") as stream:
        header = stream.read(20)
    return header[18:20] == b"\x01\x01" or not header.startswith(SQLITE_MAGIC)


def _connect(path: Path, patience_s: float) -> sqlite3.Connection:
    conn = sqlite3.connect(
        f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=patience_s
    )
    configure(conn)
    return conn


def configure(conn: sqlite3.Connection) -> None:
    """Set what every connection to a foreign file needs."""
    conn.text_factory = bytes  # rows hold text that is not UTF-8
    conn.execute("PRAGMA trusted_schema=OFF")
    conn.execute("PRAGMA cell_size_check=ON")
    conn.execute("PRAGMA mmap_size=0")


def _starts_reading(conn: sqlite3.Connection) -> bool:
    """Take the shared lock; False if a crash's journal appeared since we looked."""
    try:
        conn.execute("PRAGMA query_only=ON")
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as exc:
        if (exc.sqlite_errorname or "").startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            return False
        raise
    return True


def _checked(source: LegacySource, conn: sqlite3.Connection, fingerprint: bytes) -> OpenedSource:
    set_aside = source.kind is SourceKind.NAMED and source.path.name != _IN_USE
    if not set_aside and conn.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        raise source_error(
            source.path,
            "our_store",
            "it is a journal of spec-kitty-sync, not a legacy queue",
            "Point SPEC_KITTY_HOME at its folder to use it.",
        )
    return OpenedSource(source, conn, fingerprint)


def _copy_stable(path: Path, folder: Path, patience_s: float, clock: Clock) -> tuple[Path, bytes]:
    """Copy *path* with its sidecars until copy and source have the same hash.

    Raises:
        SourceError: it kept changing for *patience_s* seconds.
        OSError
    """
    deadline = clock.monotonic_s() + patience_s
    target = folder / "source.db"
    while True:
        for suffix in ("", *_COPIED_SIDECARS):
            _copy_one(path.with_name(path.name + suffix), target.with_name(target.name + suffix))
        copied, now = fingerprint_of(target), fingerprint_of(path)
        if copied == now:
            return target, now
        if clock.monotonic_s() >= deadline:
            raise source_error(path, "busy", "it kept changing while it was copied", _RETRY)
        clock.sleep(0.05)


def _lift_empty(copy: Path) -> None:
    """Give an empty file one blank page: beside one, SQLite throws a write-ahead log away."""
    log = copy.with_name(copy.name + "-wal")
    if copy.stat().st_size == 0 and log.exists():
        copy.write_bytes(bytes(_PAGE_SIZE))


def _copy_one(origin: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        with origin.open("rb") as read, target.open("xb") as write:
            _pump(read, write)
    except FileNotFoundError:
        if not origin.name.endswith(_COPIED_SIDECARS):
            raise


def _pump(read: BinaryIO, write: BinaryIO) -> None:
    while chunk := read.read(_CHUNK):
        write.write(chunk)
