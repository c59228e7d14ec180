"""One way to open SQLite: checks, settings, schema.

The settings and their reasons: docs/architecture.md, "The store".
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from spec_kitty_sync._files import make_private_dir, touch_private
from spec_kitty_sync._locks import WriterLock
from spec_kitty_sync._sqlite import BUSY_TIMEOUT_S, Store
from spec_kitty_sync._sqlite_errors import (
    STORE_ERRORS,
    check_place,
    is_busy,
    move_database,
    size_of,
    translate,
    wal_of,
)
from spec_kitty_sync.errors import StoreVersionError

APPLICATION_ID = 0x534B5331  # "SKS1"
CHECKPOINT_PAGES = 1000  # 4 MiB: the log is checkpointed by the commit that exceeds it
_SWITCH_PAUSE_S = 0.002
_SCHEMA = "SELECT type, name, CAST(sql AS BLOB) FROM sqlite_master"
Synchronous = Literal["FULL", "NORMAL"]


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
    with _closed_on_error(conn, path):
        lock = WriterLock(path.with_name(path.name + ".lock"))
        store = Store(path, conn, writing=lock, connect=connect)
        _upgrade(store, steps)
    return store


@contextmanager
def _closed_on_error(conn: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Close *conn* when the block fails; what SQLite said becomes a store error."""
    try:
        yield
    except STORE_ERRORS as exc:
        conn.close()
        raise translate(exc, path) from exc
    except BaseException:
        conn.close()
        raise


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
    with _closed_on_error(conn, path):
        check_ours(conn, path, newest)
        _configure(conn, synchronous)
        if on_connect is not None:
            on_connect(conn)
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
    with _closed_on_error(conn, path):
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
    except STORE_ERRORS as exc:
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
    _use_log(conn)
    conn.execute(f"PRAGMA synchronous={synchronous}")
    conn.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    conn.execute("PRAGMA foreign_keys=ON")
    conn.execute("PRAGMA trusted_schema=OFF")
    conn.execute("PRAGMA cell_size_check=ON")
    conn.execute("PRAGMA mmap_size=0")


def _use_log(conn: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, as every first opener of a new file does.

    Where another process is switching in this moment, SQLite gives up at once: its own patience
    does not cover that. So the patience is ours.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            conn.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if not is_busy(exc) or time.monotonic() > deadline:
                raise
        time.sleep(_SWITCH_PAUSE_S)


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


def has_schema(conn: sqlite3.Connection, steps: Sequence[str]) -> bool:
    """Whether the tables and views are those that *steps* make; SQLite checks pages, not names."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        for statement in (each for script in steps for each in split_statements(script)):
            fresh.execute(statement)
        wanted = set(fresh.execute(_SCHEMA))
    return wanted <= set(conn.execute(_SCHEMA))


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
