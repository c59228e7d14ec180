"""One way to open SQLite, one transaction helper, one translation of its errors.

The settings and their reasons: docs/architecture.md, "The store".
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from spec_kitty_sync._files import make_private_dir, move_away, touch_private
from spec_kitty_sync._locks import WriterLock
from spec_kitty_sync.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreGoneError,
    StoreReadOnlyError,
    StoreUncertainError,
    StoreVersionError,
    UnsafePathError,
)

APPLICATION_ID = 0x534B5331  # "SKS1"
BUSY_TIMEOUT_S = 5.0
CHECKPOINT_PAGES = 1000  # 4 MiB: the log is checkpointed by the commit that exceeds it
Synchronous = Literal["FULL", "NORMAL"]


def translate(exc: sqlite3.Error, path: Path | str) -> StoreError:
    """Return the store error that *exc* means, naming *path*."""
    name = getattr(exc, "sqlite_errorname", None) or ""
    text = f"{path}: {exc}"
    if name.startswith("SQLITE_FULL"):
        return StoreFullError(text, path=str(path))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusyError(text, path=str(path))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "no such table" in text:
        return _corrupt(text, Path(path))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreReadOnlyError(text, path=str(path))
    if name.startswith("SQLITE_IOERR"):
        return StoreUncertainError(text, path=str(path))
    return StoreError(text, path=str(path))


def _corrupt(text: str, path: Path) -> StoreCorruptError:
    """Return the error with both ways out: a backup, or a new beginning that keeps what is left."""
    remedy = f"{StoreCorruptError.default_remedy} Without one, begin anew. {_move_database(path)}"
    return StoreCorruptError(text, remedy=remedy, path=str(path))


def _move_database(path: Path) -> str:
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
    if not _size(path) and _size(wal):
        raise _corrupt(f"{path} is missing or empty, but its log {wal.name} is not", path)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file stands at *path* now, None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino)


class Store:
    """An open database of ours: one connection, one thread at a time.

    `transaction()` is the only way to write. `reader=True` opens it read-only and creates
    nothing.
    """

    def __init__(
        self, path: Path, conn: sqlite3.Connection, *, writing: WriterLock | None = None
    ) -> None:
        self.path = path
        self.conn = conn
        self._writing = writing
        self._pid = os.getpid()
        self._file = _identity(path)

    @property
    def read_only(self) -> bool:
        """Whether this connection was opened by `open_reader`."""
        return self._writing is None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Be the one connection of all processes that writes or checkpoints.

        SQLite up to 3.51.2 can damage a file when one connection writes while another
        checkpoints; and its own waiting for a writer is slower than ours.

        Raises:
            StoreReadOnlyError, StoreBusyError
            StoreError: the process has forked since the store was opened.
        """
        if self._writing is None:
            raise StoreReadOnlyError(f"{self.path} is open for reading only")
        if os.getpid() != self._pid:
            # The lock belongs to both sides of a fork, and SQLite forbids sharing a connection.
            raise StoreError(
                f"{self.path} was opened before a fork",
                remedy="Open the store again in the new process.",
            )
        try:
            with self._writing.hold(BUSY_TIMEOUT_S):
                yield self.conn
        except TimeoutError as exc:
            raise StoreBusyError(f"{self.path}: another process is writing") from exc
        except sqlite3.Error as exc:
            raise translate(exc, self.path) from exc

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block in BEGIN IMMEDIATE; commit, or leave no transaction open.

        Nested use joins the outer transaction.

        Raises:
            StoreError: the block or the commit failed in SQLite; nothing of it remains,
                except for StoreUncertainError, where only a new look can tell.
            StoreGoneError: somebody removed or replaced the file; the write is lost with it.
        """
        if self.conn.in_transaction:
            yield self.conn
            return
        with self.writing() as conn:
            conn.execute("BEGIN IMMEDIATE")
            try:
                yield conn
                conn.execute("COMMIT")
            finally:
                # SQLite may have rolled back by itself, and a failed COMMIT leaves it open.
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
            if _identity(self.path) != self._file:
                raise StoreGoneError(f"{self.path} was removed or replaced while it was open")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Run the block on the connection, translating SQLite's errors."""
        try:
            yield self.conn
        except sqlite3.Error as exc:
            raise translate(exc, self.path) from exc

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reading in the block see the file as it was at its first read."""
        with self.reading() as conn:
            alone = not conn.in_transaction
            if alone:
                conn.execute("BEGIN")
            try:
                yield
            finally:
                if alone and conn.in_transaction:
                    conn.execute("ROLLBACK")

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database, as far as no reader needs it."""
        if not self.read_only and not self.conn.in_transaction:
            with self.writing() as conn:
                conn.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the connection; the last one of all processes empties the write-ahead log."""
        self.conn.close()
        if self._writing is not None:
            self._writing.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_store(
    path: Path,
    steps: Sequence[str],
    *,
    synchronous: Synchronous = "FULL",
    on_connect: Callable[[sqlite3.Connection], None] | None = None,
    any_thread: bool = False,
) -> Store:
    """Open or create our database at *path* and bring its schema up to date.

    *steps* are SQL scripts in order; `user_version` counts how many have run, each in a
    transaction of its own together with the others that are missing. *any_thread*: the caller
    sees to it that only one thread at a time uses the store.

    Raises:
        StoreVersionError: a newer version, or another program, wrote the file; untouched.
        StoreCorruptError, StoreReadOnlyError, StoreBusyError, UnsafePathError
    """
    make_private_dir(path.parent)
    check_place(path)
    touch_private(path)
    try:
        conn = sqlite3.connect(
            path,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_S,
            check_same_thread=not any_thread,
        )
    except sqlite3.Error as exc:
        raise translate(exc, path) from exc
    try:
        check_ours(conn, path, len(steps))
        _configure(conn, synchronous)
        if on_connect is not None:
            on_connect(conn)
        store = Store(path, conn, writing=WriterLock(path.with_name(path.name + ".lock")))
        _upgrade(store, steps)
    except sqlite3.Error as exc:
        conn.close()
        raise translate(exc, path) from exc
    except BaseException:
        conn.close()
        raise
    return store


def open_reader(path: Path, steps: Sequence[str]) -> Store | None:
    """Open our database for reading only; None if it does not exist or holds nothing yet.

    On a read-only directory `immutable=1` is used, but only where no write-ahead log waits.

    Raises:
        StoreVersionError: the schema is older or newer than this program, or not ours.
    """
    check_place(path)
    if not _size(path):
        return None
    conn = _connect_reader(path)
    try:
        version = check_ours(conn, path, len(steps))
        if version == 0:
            conn.close()
            return None
        if version < len(steps):
            raise StoreVersionError(
                f"{path} has schema {version}; this spec-kitty-sync reads {len(steps)}",
                remedy="Run `spec-kitty sync now` once: it brings the file up to date.",
            )
        conn.execute("PRAGMA query_only=ON")
    except sqlite3.Error as exc:
        conn.close()
        raise translate(exc, path) from exc
    except BaseException:
        conn.close()
        raise
    return Store(path, conn)


def _connect_reader(path: Path) -> sqlite3.Connection:
    uri = path.as_uri()
    try:
        conn = sqlite3.connect(
            f"{uri}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S
        )
        try:
            conn.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.OperationalError as exc:
            conn.close()
            cannot_open = (exc.sqlite_errorname or "").startswith("SQLITE_CANTOPEN")
            if not cannot_open or _size(wal_of(path)):
                raise
            conn = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error as exc:
        raise translate(exc, path) from exc
    return conn


def check_ours(conn: sqlite3.Connection, path: Path, newest: int) -> int:
    """Return the schema version of the open file; 0 for a new one.

    Raises:
        StoreVersionError: another application's file, or a newer version than *newest*.
    """
    application, version, empty = _marks(conn)
    if empty and version == 0 and application in (0, APPLICATION_ID):
        return 0
    if application != APPLICATION_ID:
        raise StoreVersionError(
            f"{path} was not made by spec-kitty-sync; it is left untouched",
            remedy=f"{_move_database(path)} Or set SPEC_KITTY_HOME to another directory.",
        )
    if version > newest:
        raise StoreVersionError(
            f"{path} has schema {version}; this spec-kitty-sync knows up to {newest}",
            path=str(path),
        )
    return version


def _marks(conn: sqlite3.Connection) -> tuple[int, int, bool]:
    """Return application id, schema version and whether there is no table, as of one moment.

    Another process may be creating the schema right now.
    """
    alone = not conn.in_transaction
    if alone:
        conn.execute("BEGIN")
    try:
        application = int(conn.execute("PRAGMA application_id").fetchone()[0])
        version = int(conn.execute("PRAGMA user_version").fetchone()[0])
        empty = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        return application, version, empty
    finally:
        if alone and conn.in_transaction:
            conn.execute("ROLLBACK")


def _configure(conn: sqlite3.Connection, synchronous: Synchronous) -> None:
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute(f"PRAGMA synchronous={synchronous}")
    conn.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    conn.execute("PRAGMA foreign_keys=ON")
    conn.execute("PRAGMA trusted_schema=OFF")
    conn.execute("PRAGMA cell_size_check=ON")
    conn.execute("PRAGMA mmap_size=0")


def _upgrade(store: Store, steps: Sequence[str]) -> None:
    """Run the missing steps in one transaction; two processes that start at once agree."""
    if check_ours(store.conn, store.path, len(steps)) == len(steps):
        return
    with store.transaction() as conn:
        done = check_ours(conn, store.path, len(steps))
        for script in steps[done:]:
            for statement in split_statements(script):
                conn.execute(statement)
        conn.execute(f"PRAGMA application_id={APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version={len(steps)}")


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of *script*; `executescript` would commit in between."""
    pending = ""
    for line in script.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            if pending.strip():
                yield pending
            pending = ""
    if pending.strip():
        yield pending
