"""No room: while appending, delivering, migrating and upgrading, told in three ways.

The third, calls that answer ENOSPC, is in test_syscall_faults.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_figures import Figures
from fault_scenarios import append_many, varied
from fault_scenarios_keeping import old_queues, old_store
from fault_stage import Stage
from legacy_homes import event, write_queue
from legacy_homes import journal_of as bodies_of
from oracle import drain, examine, journal_of, make_event

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync._sqlite_open import open_store
from spec_kitty_sync.conformance.bounded import no_file_above
from spec_kitty_sync.errors import StoreFullError
from spec_kitty_sync.sync.store import open_home, steps

_MANY = [make_event(number) for number in range(600)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path)
    (made.project / ".kittify").mkdir(parents=True)
    return made


def fill_up(store: Store, *, spare_pages: int) -> None:
    """Let the database grow by *spare_pages* and no more."""
    pages = store.conn.execute("PRAGMA page_count").fetchone()[0]
    store.conn.execute(f"PRAGMA max_page_count={pages + spare_pages}")


def make_room(store: Store) -> None:
    store.conn.execute("PRAGMA max_page_count=1073741823")


def test_append_without_room_stores_nothing_and_goes_on_with_room(
    stage: Stage, figure: Figures
) -> None:
    """A full database refuses an event by name; what was appended is there, and with room it goes
    on where it stopped."""
    acknowledged: dict[str, bytes] = {}
    with open_home(stage.home) as store:
        journal = journal_of(store, ManualClock())
        fill_up(store, spare_pages=8)
        refused = None
        for event in _MANY:
            try:
                journal.append(event)
            except StoreFullError as exc:
                refused = exc
                break
            acknowledged[event.event_id] = event.body
        assert refused is not None
        assert "Free disk space" in refused.remedy
        assert not store.conn.in_transaction
        assert len(list(journal.read())) == len(acknowledged) > 5
        make_room(store)
        for event in _MANY:
            journal.append(event)
            acknowledged[event.event_id] = event.body
    examine(stage.home, acknowledged, stage.wire())
    figure("full:append", points=1, losses=0)


@pytest.mark.parametrize("spare_pages", range(6))
def test_drain_without_room_records_nothing_false(
    stage: Stage, spare_pages: int, figure: Figures
) -> None:
    """When answers cannot be recorded the drain says so; sent again, they are duplicates."""
    with open_home(stage.home) as store:
        journal_of(store, ManualClock()).append_many(_MANY)
        fill_up(store, spare_pages=spare_pages)
        with pytest.raises(StoreFullError, match="full"):
            drain(store, stage.home, stage.wire())
    examine(stage.home, {each.event_id: each.body for each in _MANY}, stage.wire())
    figure(f"full:drain-{spare_pages}", points=1, losses=0)


def test_upgrade_without_room_leaves_the_old_schema(stage: Stage, figure: Figures) -> None:
    """A schema upgrade that does not fit leaves the file as it was; with room it is upgraded."""
    old_store(stage, 1)
    with pytest.raises(StoreFullError, match="full"):
        open_store(
            stage.home.journal_db,
            steps(),
            on_connect=lambda conn: conn.execute("PRAGMA max_page_count=12") and None,
        )
    with open_store(stage.home.journal_db, steps()[:1]) as store:
        assert store.conn.execute("PRAGMA user_version").fetchone() == (1,)
    examine(stage.home, {each.event_id: each.body for each in varied(6)}, stage.wire())
    figure("full:upgrade", points=1, losses=0)


def run_limited(stage: Stage, limit: int | None, *command: str) -> subprocess.CompletedProcess[str]:
    """Run `spec-kitty COMMAND` with no file longer than *limit* bytes."""
    under = no_file_above(limit) if limit else ()
    command = (sys.executable, "-m", "spec_kitty_sync", *command)
    return subprocess.run(
        [*under, *command, "--home", str(stage.home.root)],
        capture_output=True,
        text=True,
        check=False,
        cwd=stage.project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


_EMIT = ("emit", "HistoryAdded", "--wp-id", "WP01", "--entry-type", "note", "--entry-content", "hi")


def _with_backlog(stage: Stage) -> None:
    append_many(stage, _MANY[:100])


@pytest.mark.parametrize(
    ("prepare", "command", "limit"),
    [
        (_with_backlog, _EMIT, 4_000),
        (_with_backlog, _EMIT, 20_000),
        (old_queues, ("sync", "migrate"), 4_000),
        (old_queues, ("sync", "migrate"), 45_000),
    ],
)
def test_command_without_room_is_refused_and_works_with_room(
    stage: Stage,
    prepare: Callable[[Stage], None],
    command: tuple[str, ...],
    limit: int,
    figure: Figures,
) -> None:
    """`emit` and `sync migrate` say in one line what is wrong and what helps, and exit 2; the same
    command with room does the rest of its work."""
    prepare(stage)
    before = bodies_of(stage.home.root)
    refused = run_limited(stage, limit, *command)
    assert refused.returncode == 2, refused
    assert refused.stderr.count("\n") <= 2, refused.stderr
    assert re.search("free some space|making room|has room", refused.stderr), refused.stderr
    assert before.items() <= bodies_of(stage.home.root).items()
    again = run_limited(stage, None, *command)
    assert "error:" not in again.stderr, again
    assert before.items() < bodies_of(stage.home.root).items()
    examine(stage.home, before, stage.wire())
    figure(f"full:{command[1]}", points=1, losses=0)


def test_migration_without_room_tells_how_far_it_came(stage: Stage, figure: Figures) -> None:
    """Whole sources are imported before the disk is full: the message counts them, and the same
    command does the rest once there is room."""
    root = stage.home.root
    write_queue(root / "queue.db", [event(number) for number in range(10)])
    write_queue(root / "queues" / "queue-0123456789abcdef.db", [event(n) for n in range(10, 2000)])
    refused = run_limited(stage, 300_000, "sync", "migrate", "--json")
    assert refused.returncode == 2, refused
    error = json.loads(refused.stdout)["error"]
    assert (error["sources_done"], error["imported"]) == (1, 10)
    assert "1 of 2 sources done before, 10 events imported" in refused.stderr
    assert "has room" in error["remedy"]
    assert len(bodies_of(root)) == 10
    again = run_limited(stage, None, "sync", "migrate", "--json")
    assert json.loads(again.stdout)["imported"] == 1990
    figure("full:migrate", points=1, losses=0)
