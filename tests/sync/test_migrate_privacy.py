"""What a migration hands out or lets go: only what may, only to whom it may."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from legacy_homes import contents, event, settings_of, write_queue, write_rows

from spec_kitty_sync.delivery.ledger import Answered, Verdict
from spec_kitty_sync.delivery.runs import Run
from spec_kitty_sync.errors import MigrationError
from spec_kitty_sync.events.results import BatchResult, ResultStatus
from spec_kitty_sync.sync.migrate_conflicts import Conflicts
from spec_kitty_sync.sync.migrate_home import deciding, migrate
from spec_kitty_sync.sync.migrate_quarantine import Quarantine
from spec_kitty_sync.sync.workspace import open_workspace

ONE = str(event(1)["event_id"])


def divergent(home: Path, **changes: object) -> Path:
    """Return a migrated home where one id has two contents that both carry *changes*."""
    write_queue(home / "queue.db", [event(1, **changes)])
    write_queue(home / "queues" / "queue-aa.db", [event(1, aggregate_id="WP99", **changes)])
    assert migrate(settings_of(home)).conflicts == 1
    return home


def test_decision_input_stays_local_whichever_content_is_kept(tmp_path: Path) -> None:
    """Older CLIs never sent these types, whatever tier they state."""
    home = divergent(tmp_path, event_type="DecisionInputRequested", data_tier=2)
    with deciding(settings_of(home)) as parts:
        Conflicts(parts).resolve(ONE, keep="source")
    assert [row[2] for row in contents(home)["events"]] == [0]


def test_exported_rows_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Rows nobody could read may hold anything: the file is not for others, and never replaced."""
    write_rows(tmp_path / "queue.db", [("x", "secret?")])
    migrate(settings_of(tmp_path))
    target = tmp_path / "rows.jsonl"
    before = os.umask(0)
    try:
        with deciding(settings_of(tmp_path)) as parts:
            Quarantine(parts).export(target)
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o600


def test_source_content_is_refused_after_a_refused_attempt_too(tmp_path: Path) -> None:
    """A target that saw the journal's content, even to reject it, must not meet another one."""
    write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    with open_workspace(settings_of(tmp_path)) as workspace:
        target = workspace.targets.ensure("https://a.example")
        (record,) = workspace.journal.read()
        answer = BatchResult(record.event_id, ResultStatus.REJECTED, "no")
        verdict = Verdict(record.seq, answer)
        workspace.ledger.record(Run(target, 1), [verdict], Answered(target.url, 200))
    write_queue(tmp_path / "queues" / "queue-aa.db", [event(1, aggregate_id="WP99")])
    assert migrate(settings_of(tmp_path)).conflicts == 1
    with deciding(settings_of(tmp_path)) as parts:
        with pytest.raises(MigrationError, match="was sent"):
            Conflicts(parts).resolve(ONE, keep="source")
        Conflicts(parts).resolve(ONE, keep="journal")
    assert migrate(settings_of(tmp_path)).exit_code == 0


def test_clock_goes_past_every_imported_event(tmp_path: Path) -> None:
    """The next event of this home is later than all that came with the migration."""
    write_queue(tmp_path / "queue.db", [event(7), event(4711), event(12)])
    migrate(settings_of(tmp_path))
    with closing(sqlite3.connect(tmp_path / "journal.db")) as conn:
        assert conn.execute("SELECT value FROM identity_clock").fetchone()[0] >= 4711
