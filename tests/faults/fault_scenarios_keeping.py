"""What is hurt besides appending and draining: migration, corrections, backup, restore, upgrade."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from functools import partial

from fault_scenarios import (
    all_delivered,
    append,
    append_many,
    bodies_left,
    deliver,
    every_word,
    half_delivered,
    varied,
)
from fault_stage import Scenario, Stage
from legacy_homes import contents, event, image, unpack, write_queue, write_rows
from oracle import TARGET, make_event

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite_open import open_store
from spec_kitty_sync.delivery.redelivery import redeliver
from spec_kitty_sync.errors import SpecKittyError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.sync.backup import back_up, restore
from spec_kitty_sync.sync.correcting import (
    RetryChoice,
    discard_events,
    replace_events,
    retry_events,
)
from spec_kitty_sync.sync.migrate_conflicts import Conflicts
from spec_kitty_sync.sync.migrate_home import cleanup, deciding, migrate
from spec_kitty_sync.sync.migrate_quarantine import Quarantine
from spec_kitty_sync.sync.retaining import collect
from spec_kitty_sync.sync.store import steps
from spec_kitty_sync.sync.workspace import open_workspace

_SETTLED = """
SELECT event_id, body FROM event_journal
WHERE event_id NOT IN (SELECT event_id FROM migration_conflict)
"""


def old_queues(stage: Stage) -> None:
    """Write queues that share events, contradict each other and have rows that are no events."""
    home = stage.home.ensure().root
    append(stage, varied(3, start=400))
    write_queue(home / "queue.db", [event(n) for n in range(8)])
    other = [event(n, aggregate_id="WP02") for n in (6, 7)]
    write_queue(home / "queues" / "queue-aa.db", [*other, *(event(n) for n in range(8, 12))])
    write_rows(home / "queues" / "queue-bb.db", [("x1", "[]"), ("x2", "{"), ("x3", None)])


def real_queues(stage: Stage) -> None:
    """Unpack real divergent queues, one of them with a write-ahead log, beside made ones."""
    home = stage.home.root
    unpacked = unpack("c-divergent", stage.disk / "unpacked")
    shutil.copytree(unpacked, home)
    for path in unpack("f-wal", stage.disk / "unpacked").glob("queues/*f2.db*"):
        shutil.copy2(path, home / "queues" / path.name)
    shutil.rmtree(stage.disk / "unpacked")
    write_queue(home / "queue.db", [event(n) for n in range(40)])
    write_queue(home / "queues" / "queue-aa.db", [event(n) for n in range(30, 50)])
    rows = [(f"x{n}", "[]") for n in range(5)] + [(event(90)["event_id"], json.dumps(event(90)))]
    write_rows(home / "queues" / "queue-bb.db", rows)


def imported(stage: Stage, write: object = old_queues) -> None:
    """Import old queues; what the journal holds now is acknowledged."""
    write(stage)
    migrate(stage.settings)
    with closing(sqlite3.connect(stage.home.journal_db)) as conn:
        for event_id, body in conn.execute(_SETTLED):
            stage.acknowledge(event_id, body)


def decide(stage: Stage) -> None:
    with deciding(stage.settings) as parts:
        Conflicts(parts).resolve_all(keep="source", reason="theirs")
        Quarantine(parts).accept(None, reason="junk")


def imported_and_untouched(stage: Stage) -> object:
    """What a migration leaves: the journal's part, and every byte of the sources."""
    return {**contents(stage.home.root), "sources on disk": image(stage.home.root)}


def cleaned(stage: Stage) -> object:
    """What a cleanup leaves, but for what says how often it began."""
    found: dict[str, object] = dict(contents(stage.home.root))
    del found["audit"], found["sources"]
    for path in sorted(stage.home.root.rglob("queue*.db")):
        if path.parent.name != "backups":
            with closing(sqlite3.connect(path)) as conn:
                found[path.name] = conn.execute("SELECT event_id, data FROM queue").fetchall()
    return found


def _deleted_rows_are_backed_up(stage: Stage) -> None:
    """Whatever a cleanup took out of a queue stands in a backup of it."""
    found = set()
    for path in (*stage.home.root.rglob("queue*.db"), *stage.home.root.glob("backups/*.db")):
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as conn:
            found |= {row[0] for row in conn.execute("SELECT event_id FROM queue")}
    missing = {event(number)["event_id"] for number in range(12)} - found
    assert missing == set(), "deleted, but in no backup"


def old_store(stage: Stage, version: int) -> None:
    """Write a home as it was when only the first *version* steps of the schema existed."""
    stage.home.ensure()
    with open_store(stage.home.journal_db, steps()[:version]) as store:
        for each in varied(6):
            SqliteJournal(store, clock=ManualClock()).append(each)
            stage.acknowledge(each.event_id, each.body)


_REPLACED, _DISCARDED = 61, 62


def _to_correct(stage: Stage) -> None:
    """Leave two events for correction; whoever corrects them may get them back either way."""
    half_delivered(stage)
    append(Stage(stage.folder), [make_event(_REPLACED), make_event(_DISCARDED)])
    (stage.disk / "new.json").write_bytes(_replacement())


def _replacement() -> bytes:
    return make_event(_REPLACED, aggregate_id="WP77").body


def correct(stage: Stage) -> None:
    replace_events(stage.settings, stage.disk / "new.json", reason="better")
    with suppress(SpecKittyError):  # a second run finds it discarded
        discard_events(stage.settings, [make_event(_DISCARDED).event_id], reason="junk")
    retry_events(stage.settings, RetryChoice(states=("rejected", "terminal_failed")))


def _old_or_new(stage: Stage) -> None:
    with closing(sqlite3.connect(stage.home.journal_db)) as conn:
        query = "SELECT body FROM event_journal WHERE event_id = ?"
        (body,) = conn.execute(query, (make_event(_REPLACED).event_id,)).fetchone()
    assert body in (make_event(_REPLACED).body, _replacement())


def _back_up(stage: Stage) -> None:
    number = len(list(stage.disk.glob("backup-*.db")))
    back_up(stage.home, stage.disk / f"backup-{number}.db")


def _backups_are_whole_or_refused(stage: Stage) -> None:
    """A backup that was cut short is never taken for one."""
    for path in stage.disk.glob("backup-*.db"):
        elsewhere = Home(stage.disk / "elsewhere")
        with suppress(SpecKittyError):  # refused
            assert restore(elsewhere, path).events == 24
        shutil.rmtree(elsewhere.root, ignore_errors=True)


def _backed_up(stage: Stage) -> None:
    half_delivered(stage)
    _back_up(stage)
    append_many(stage, varied(6, start=24))
    deliver(stage, every_word)


def _restore(stage: Stage) -> None:
    restore(stage.home, stage.disk / "backup-0.db", clock=ManualClock())


def _collect_and_shrink(stage: Stage) -> None:
    collect(stage.settings, ("delivered", "superseded"), vacuum=True)


def _deliver_again(stage: Stage) -> None:
    with open_workspace(stage.settings, clock=ManualClock()) as workspace:
        target = workspace.targets.ensure(TARGET)
        redeliver(workspace.store, target, locks_dir=stage.home.locks_dir, clock=workspace.clock)
    deliver(stage)


def _migrate(stage: Stage) -> None:
    migrate(stage.settings)


def _cleanup(stage: Stage) -> None:
    cleanup(stage.settings)


KEEPING: Mapping[str, Scenario] = {
    "migrate": Scenario(old_queues, _migrate, outcome=imported_and_untouched),
    "migrate-real": Scenario(real_queues, _migrate, outcome=imported_and_untouched),
    "cleanup": Scenario(imported, _cleanup, outcome=cleaned, check=_deleted_rows_are_backed_up),
    "cleanup-real": Scenario(partial(imported, write=real_queues), _cleanup, outcome=cleaned),
    "decide": Scenario(imported, decide, outcome=imported_and_untouched),
    "decide-real": Scenario(
        partial(imported, write=real_queues), decide, outcome=imported_and_untouched
    ),
    "correct": Scenario(_to_correct, correct, outcome=bodies_left, check=_old_or_new),
    "backup": Scenario(half_delivered, _back_up, check=_backups_are_whole_or_refused),
    "restore": Scenario(_backed_up, _restore),
    "gc-and-vacuum": Scenario(all_delivered, _collect_and_shrink, outcome=bodies_left),
    "redeliver": Scenario(all_delivered, _deliver_again),
    **{
        f"upgrade-from-{version}": Scenario(
            partial(old_store, version=version), partial(append, events=varied(2, start=40))
        )
        for version in range(1, len(steps()))
    },
}
