"""Which store an address means."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.database import Database
from spec_kitty_sync.receiver.sqlite_store import SqliteEventStore
from spec_kitty_sync.receiver.store import EventStore


class TeamStore(EventStore, Database, Protocol):
    """Events, and everything else that stands in the same database."""


def store_at(address: Path | str) -> TeamStore:
    """Return the store at *address*: the path of an SQLite file or a `postgresql://` URL.

    Raises:
        UsageError: the packages of the extra `postgres` are missing, or the URL is malformed.
    """
    if isinstance(address, Path):
        return SqliteEventStore(address)
    try:
        from spec_kitty_sync.receiver.postgres_store import PostgresEventStore
    except ModuleNotFoundError as exc:
        raise UsageError(
            f"PostgreSQL needs the packages of the extra `postgres` ({exc.name} is missing)",
            remedy="Run `pip install 'spec-kitty-sync[receiver,postgres]'`.",
        ) from exc
    return PostgresEventStore(address)
