"""What both databases offer beside events: SQL that SQLite and PostgreSQL both speak."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Protocol

from spec_kitty_sync.errors import UsageError

Dialect = Literal["sqlite", "postgres"]
POSTGRES_SCHEMES = ("postgresql://", "postgres://")


class Database(Protocol):
    """An open database; any thread may call it. Placeholders are `?` in both dialects."""

    @property
    def shared(self) -> bool:
        """Whether other processes write to it while we run."""
        ...

    def rows(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return what *query* finds.

        Raises:
            StoreError
        """
        ...

    def change(self, query: str, values: Sequence[Any]) -> int:
        """Run one statement in a transaction of its own and return how many rows it touched.

        Raises:
            StoreError: nothing was changed.
        """
        ...

    def change_many(self, query: str, many: Sequence[Sequence[Any]]) -> None:
        """Run one statement with each of *many* in one transaction.

        Raises:
            StoreError: nothing was changed.
        """
        ...


def migration_steps(dialect: Dialect) -> list[str]:
    """Return the schema scripts of *dialect* in order."""
    folder = files("spec_kitty_sync.receiver") / "migrations" / dialect
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def database_address(text: str) -> Path | str:
    """Return *text* as a PostgreSQL URL or as the path of an SQLite file.

    Raises:
        UsageError: the address of a database that is neither, or none at all.
    """
    if text.startswith(POSTGRES_SCHEMES):
        return text
    if "://" in text:
        raise UsageError(
            "--database is neither a path nor a postgresql:// URL",
            remedy="Write postgresql://HOST/DATABASE, or the path of an SQLite file.",
        )
    if not text:
        raise UsageError("--database is empty", remedy="Give the path of an SQLite file.")
    return Path(text).absolute()
