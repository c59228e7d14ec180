"""An open database: one transaction helper, one lock of all writers."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spec_kitty_sync._locks import WriterLock
from spec_kitty_sync._sqlite_errors import (
    SENSELESS,
    STORE_ERRORS,
    corrupt,
    is_io_error,
    is_sound,
    translate,
)
from spec_kitty_sync.errors import (
    StoreBusyError,
    StoreError,
    StoreGoneError,
    StoreReadOnlyError,
    StoreUncertainError,
)

BUSY_TIMEOUT_S = 5.0


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
        except STORE_ERRORS as exc:
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
        except STORE_ERRORS as exc:
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
