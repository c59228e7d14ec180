"""What opening a home for reading promises."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite_open import open_store
from spec_kitty_sync.errors import StoreVersionError
from spec_kitty_sync.sync.store import open_home, read_home, steps


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "sk").ensure()


def test_database_that_never_got_its_tables_reads_as_none(home):
    """A process that died before it made the tables leaves a home that has no journal yet."""
    with closing(sqlite3.connect(home.journal_db)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
    assert home.journal_db.stat().st_size > 0
    assert read_home(home) is None


def test_older_schema_is_refused_with_the_command_that_upgrades_it(home):
    """A reader never changes the schema; it says what does, and then reads."""
    open_store(home.journal_db, steps()[:-1]).close()
    with pytest.raises(StoreVersionError) as caught:
        read_home(home)
    assert "`spec-kitty sync now`" in caught.value.remedy
    open_home(home).close()
    reader = read_home(home)
    assert reader is not None
    reader.close()
