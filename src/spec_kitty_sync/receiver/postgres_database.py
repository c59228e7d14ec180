"""A PostgreSQL database: pool, schema, and one translation of its errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from spec_kitty_sync.errors import (
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreVersionError,
    UsageError,
)
from spec_kitty_sync.receiver.database import migration_steps

_CONNECT_TIMEOUT_S = 5
_WAIT_S = 10.0
_CONNECTIONS = 5  # of one worker: one writes, four read

# A server, role or database may have switched durability off; an acknowledged event needs it.
_DURABLE = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') = 'off'
"""
_TIMES = """
SELECT set_config('lock_timeout', '10s', false), set_config('statement_timeout', '30s', false)
"""

_LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(hashtext('spec_kitty_sync.receiver.schema'))"
_VERSION_TABLE = "CREATE TABLE IF NOT EXISTS receiver_schema (version INTEGER NOT NULL)"
_VERSION = "SELECT coalesce(max(version), 0) FROM receiver_schema"
_NEW_VERSION = "INSERT INTO receiver_schema VALUES (%s)"

_UNREACHABLE = "Check that the PostgreSQL server runs and that the address is right."


class PostgresDatabase:
    """Connections to one database, shared with other workers and receivers."""

    shared = True

    def __init__(self, url: str) -> None:
        """Raises UsageError when *url* cannot be read; nothing is opened yet."""
        self._url = url
        self.name = _name(url)
        self._steps = migration_steps("postgres")
        self._pool: ConnectionPool[Connection[tuple[Any, ...]]] | None = None

    def connect(self) -> None:
        """Connect and bring the schema up to date; several processes may start at once."""
        with (
            self._translated(),
            psycopg.connect(self._url, connect_timeout=_CONNECT_TIMEOUT_S) as conn,
        ):
            self._upgrade(conn)
        # Made here and not in __init__, so that no thread exists when workers are forked.
        pool = ConnectionPool(
            self._url,
            kwargs={"connect_timeout": _CONNECT_TIMEOUT_S},
            min_size=1,
            max_size=_CONNECTIONS,
            timeout=_WAIT_S,
            configure=_configure,
            check=ConnectionPool.check_connection,
            open=False,
        )
        with self._translated():
            pool.open(wait=True, timeout=_WAIT_S)
        self._pool = pool

    def close(self) -> None:
        """Close all connections; `connect` opens new ones."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    @contextmanager
    def transaction(self) -> Iterator[Connection[tuple[Any, ...]]]:
        """Run the block in a transaction; durable when it ends, or nothing of it remains.

        Raises:
            StoreError
        """
        if self._pool is None:
            raise StoreError(f"{self.name} is not open")
        with self._translated(), self._pool.connection() as conn:
            yield conn

    def rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self.transaction() as conn:
            return conn.execute(_dialect(query), values, binary=True).fetchall()

    def change(self, query: str, values: Sequence[Any]) -> int:
        with self.transaction() as conn:
            return conn.execute(_dialect(query), values).rowcount

    def change_many(self, query: str, many: Sequence[Sequence[Any]]) -> None:
        with self.transaction() as conn, conn.cursor() as cursor:
            cursor.executemany(_dialect(query), many)

    def _upgrade(self, conn: Connection[tuple[Any, ...]]) -> None:
        conn.execute(_LOCK_SCHEMA)
        conn.execute(_VERSION_TABLE)
        row = conn.execute(_VERSION).fetchone()
        version = int(row[0]) if row else 0
        if version > len(self._steps):
            raise StoreVersionError(
                f"{self.name} has schema {version}; this receiver knows up to {len(self._steps)}"
            )
        for number, script in enumerate(self._steps[version:], version + 1):
            conn.execute(script.encode())
            conn.execute(_NEW_VERSION, (number,))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, PoolTimeout) as exc:
            raise _translate(exc, self.name) from exc


def _configure(conn: Connection[tuple[Any, ...]]) -> None:
    conn.execute(_DURABLE)
    conn.execute(_TIMES)
    conn.commit()


def _dialect(query: str) -> bytes:
    return query.replace("?", "%s").encode()


def _name(url: str) -> str:
    """Return the address for messages: host and database, never a password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as exc:
        raise UsageError("--database is not a valid postgresql:// URL") from exc
    return f"PostgreSQL {parts.get('host', 'localhost')}/{parts.get('dbname', '')}"


def _translate(exc: Exception, name: str) -> StoreError:
    """Return the store error that *exc* means; its text holds no value of any row."""
    if isinstance(exc, PoolTimeout):
        return StoreBusyError(f"{name}: no connection within {_WAIT_S:g} s", remedy=_UNREACHABLE)
    primary = exc.diag.message_primary if isinstance(exc, psycopg.Error) else None
    text = f"{name}: {primary or type(exc).__name__}"
    match exc:
        case errors.DiskFull():
            return StoreFullError(text)
        case errors.ReadOnlySqlTransaction():
            return StoreReadOnlyError(text, remedy="Point --database at the primary server.")
        case errors.LockNotAvailable() | errors.QueryCanceled():
            return StoreBusyError(text)
        case psycopg.OperationalError():
            return StoreError(text, remedy=_UNREACHABLE)
        case _:
            return StoreError(text)
