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

from spec_kitty_sync._files import make_private_dir, touch_private
from spec_kitty_sync._locks import WriterLock
from spec_kitty_sync._sqlite_errors import (
    OPENING_ERRORS,
    SENSELESS,
    check_place,
    corrupt,
    is_io_error,
    is_sound,
    move_database,
    size_of,
    translate,
    wal_of,
)
from spec_kitty_sync.errors import (
    StoreBusyError,
    StoreError,
    StoreGoneError,
    StoreReadOnlyError,
    StoreUncertainError,
    StoreVersionError,
)

APPLICATION_ID = 0x534B5331  # "SKS1"
BUSY_TIMEOUT_S = 5.0
CHECKPOINT_PAGES = 1000  # 4 MiB: the log is checkpointed by the commit that exceeds it
Synchronous = Literal["FULL", "NORMAL"]


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
        self,
        path: Path,
        conn: sqlite3.Connection,
        *,
        writing: WriterLock | None = None,
        connect: Callable[[], sqlite3.Connection] | None = None,
    ) -> None:
        self.path = path
        self._conn: sqlite3.Connection | None = conn
        self._connect = connect
        self._writing = writing
        self._pid = os.getpid()
        self._file = _identity(path)

    @property
    def conn(self) -> sqlite3.Connection:
        """The open connection: a new one where a failed commit closed the last.

        Raises:
            StoreError: it cannot be opened again.
        """
        if self._conn is None:
            if self._connect is None:
                raise StoreError(f"{self.path} is closed")
            self._conn = self._connect()
        return self._conn

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
            if not is_io_error(exc):
                raise translate(exc, self.path) from exc
            # What a disk holds after an I/O error, no connection that was open then may say.
            self._drop()
            raise StoreUncertainError(f"{self.path}: {exc}", path=str(self.path)) from exc

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
        self._drop()
        self._connect = None
        if self._writing is not None:
            self._writing.close()

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        """Close; where a value made no sense to the program, say so if the file is damaged."""
        try:
            damaged = isinstance(exc, SENSELESS) and not is_sound(self.conn)
        finally:
            self.close()
        if damaged:
            raise corrupt(f"{self.path} holds values that make no sense", self.path) from exc


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

    def connect() -> sqlite3.Connection:
        return _connect_writer(
            path, len(steps), synchronous, on_connect=on_connect, any_thread=any_thread
        )

    conn = connect()
    try:
        lock = WriterLock(path.with_name(path.name + ".lock"))
        store = Store(path, conn, writing=lock, connect=connect)
        _upgrade(store, steps)
    except sqlite3.Error as exc:
        conn.close()
        raise translate(exc, path) from exc
    except BaseException:
        conn.close()
        raise
    return store


def _connect_writer(
    path: Path,
    newest: int,
    synchronous: Synchronous,
    *,
    on_connect: Callable[[sqlite3.Connection], None] | None,
    any_thread: bool,
) -> sqlite3.Connection:
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
        check_ours(conn, path, newest)
        _configure(conn, synchronous)
        if on_connect is not None:
            on_connect(conn)
    except OPENING_ERRORS as exc:
        conn.close()
        raise translate(exc, path) from exc
    except BaseException:
        conn.close()
        raise
    return conn


def open_reader(path: Path, steps: Sequence[str]) -> Store | None:
    """Open our database for reading only; None if it does not exist or holds nothing yet.

    On a read-only directory `immutable=1` is used, but only where no write-ahead log waits.

    Raises:
        StoreVersionError: the schema is older or newer than this program, or not ours.
    """
    check_place(path)
    if not size_of(path):
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
    except OPENING_ERRORS as exc:
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
            name = exc.sqlite_errorname or ""
            read_only = name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
            if not read_only or size_of(wal_of(path)):
                raise
            conn = sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except OPENING_ERRORS as exc:
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
            remedy=f"{move_database(path)} Or set SPEC_KITTY_HOME to another directory.",
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
