"""Out of space anywhere: run again and nothing tells the difference."""

from __future__ import annotations

from pathlib import Path

import pytest
from legacy_homes import contents, event, settings_of, write_queue

from spec_kitty_sync.errors import StoreFullError
from spec_kitty_sync.sync.legacy_sources import discover
from spec_kitty_sync.sync.migrate_home import migrate, parts_of
from spec_kitty_sync.sync.migrate_journal import Migrator
from spec_kitty_sync.sync.migrate_scope import Scopes
from spec_kitty_sync.sync.workspace import open_workspace


def test_migration_out_of_space_keeps_whole_sources_only(tmp_path: Path) -> None:
    """A source that did not fit left nothing behind; with space the next run completes."""
    write_queue(tmp_path / "queue.db", [event(n) for n in range(20)])
    write_queue(tmp_path / "queues" / "queue-aa.db", [event(n) for n in range(20, 1500)])
    settings = settings_of(tmp_path)
    with open_workspace(settings) as workspace:
        pages = workspace.store.conn.execute("PRAGMA page_count").fetchone()[0]
        workspace.store.conn.execute(f"PRAGMA max_page_count={pages + 40}")
        migrator = Migrator(parts_of(workspace), Scopes(()))
        with pytest.raises(StoreFullError):
            migrator.run(discover(settings.home))
    assert len(contents(tmp_path)["events"]) == 20
    assert len(contents(tmp_path)["sources"]) == 1
    report = migrate(settings)
    assert (report.imported, report.exit_code) == (1480, 0)
