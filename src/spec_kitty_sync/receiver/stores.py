"""Which store an address means."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from spec_kitty_sync._extras import extra
from spec_kitty_sync.receiver.database import Database
from spec_kitty_sync.receiver.sqlite_store import SqliteEventStore
from spec_kitty_sync.receiver.store import EventStore


class TeamStore(EventStore, Database, Protocol):
    """Events, and everything else that stands in the same database."""


def store_at(address: Path | str) -> TeamStore:
    """Return the store at *address*: the path of an SQLite file or a `postgresql://` URL.

    Raises:
        MissingExtraError: the extra `postgres` is not installed.
        UsageError: the URL is malformed.
    """
    if isinstance(address, Path):
        return SqliteEventStore(address)
    with extra("postgres"):
        from spec_kitty_sync.receiver.postgres_store import PostgresEventStore
    return PostgresEventStore(address)
