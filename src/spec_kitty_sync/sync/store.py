"""Opening the one database of a home, with the tables of every domain."""

from __future__ import annotations

from typing import Literal

from spec_kitty_sync._files import Home, disk_error
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync._sqlite_open import open_reader, open_store

# Forward only: a released step is never changed, new ones go to the end.
_STEPS = (
    ("spec_kitty_sync.event_journal", "0001_journal.sql"),
    ("spec_kitty_sync.identity", "0001_clock.sql"),
    ("spec_kitty_sync.delivery", "0001_delivery.sql"),
    ("spec_kitty_sync.sync", "0001_migration.sql"),
    ("spec_kitty_sync.sync", "0002_producing.sql"),
)


def steps() -> tuple[str, ...]:
    """Return the schema scripts in order; `user_version` counts them."""
    from importlib import resources

    return tuple(
        resources.files(package).joinpath("migrations", name).read_text(encoding="utf-8")
        for package, name in _STEPS
    )


def open_home(home: Home, *, synchronous: str = "FULL", any_thread: bool = False) -> Store:
    """Open `journal.db` for reading and writing, creating or upgrading it.

    Raises:
        StoreError: see `spec_kitty_sync._sqlite_open.open_store`.
    """
    level: Literal["FULL", "NORMAL"] = "NORMAL" if synchronous == "NORMAL" else "FULL"
    home.ensure()
    try:
        scripts = steps()
    except OSError as exc:
        raise disk_error("cannot read the schema", exc) from exc
    return open_store(home.journal_db, scripts, synchronous=level, any_thread=any_thread)


def read_home(home: Home) -> Store | None:
    """Open `journal.db` for reading; None when this home has none yet. Writes nothing."""
    # A reader only counts the scripts, so they need not be loaded.
    return open_reader(home.journal_db, [name for _, name in _STEPS])
