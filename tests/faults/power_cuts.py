"""Recording a piece of work, cutting the power at many points, and judging what is left."""

from __future__ import annotations

import copy
import gzip
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from crashed_disk import MOODS, CrashedDisk, Step, read_trace
from legacy_homes import event, write_queue
from oracle import examine, make_event
from power_work import Machine

from spec_kitty_sync import api
from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite_open import open_store
from spec_kitty_sync.auth.credentials import load_credentials
from spec_kitty_sync.errors import SpecKittyError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.sync.config import Settings, SyncConfig
from spec_kitty_sync.sync.store import steps

HERE = Path(__file__).parent
OLD_EVENTS = [event(number) for number in range(200, 240)]
_ARCHIVED = "SELECT event_id FROM event_journal WHERE removed = 'archived'"

Prepare = Callable[[Machine], None]


@dataclass
class Cuts:
    """What a run of power cuts came to."""

    points: int = 0
    kills: int = 0
    losses: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    """Some work as the disk saw it, and the disk as it was before."""

    root: Path
    before: CrashedDisk
    steps: list[Step]

    def told(self) -> list[int]:
        """Return the points just after the world was told something: where promises are young."""
        world = {path.stat().st_ino for path in (self.root / "world").iterdir()}
        return [n for n, s in enumerate(self.steps, 1) if s.kind == "W" and s.inode in world]


def record(library: Path, root: Path, task: str, prepare: Prepare) -> Recording:
    """Prepare a machine, run *task* on it under the recorder, return what it asked of the disk."""
    machine = Machine(root)
    (machine.disk / ".kittify").mkdir(parents=True)
    machine.world.mkdir()
    prepare(machine)
    before = CrashedDisk(root)
    trace = root.with_name("trace")
    done = subprocess.run(
        [sys.executable, str(HERE / "power_work.py"), task, str(root)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "LD_PRELOAD": str(library),
            "SK_TRACE_ROOT": f"{root}/",
            "SK_TRACE": str(trace),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Recording(root, before, read_trace(trace))


def cut(recording: Recording, folder: Path, *, count: int, seed: int) -> Cuts:
    """Cut the power *count* times, half of them just after a promise; judge what is left."""
    rng = random.Random(seed)
    everywhere = range(len(recording.steps) + 1)
    told = recording.told()
    points = sorted(rng.choices(told, k=count // 2) + rng.choices(everywhere, k=count - count // 2))
    result, disk, done = Cuts(points=len(everywhere)), copy.deepcopy(recording.before), 0
    for number, point in enumerate(points):
        for step in recording.steps[done:point]:
            disk.do(step)
        done = point
        root = folder / str(number)
        root.mkdir(parents=True)
        mood, one = rng.choice(MOODS), rng.randrange(2**32)
        disk.leave("machine", root / "machine", mood=mood, seed=one)
        disk.leave("world", root / "world", mood="kept", seed=one)
        try:
            judge(Machine(root))
        except (AssertionError, SpecKittyError) as exc:
            where = f"step {point} of {len(everywhere)}, {mood}, seed {one}"
            result.losses.append(f"{where}: {type(exc).__name__} {exc}")
        result.kills += 1
        shutil.rmtree(root)
    return result


def judge(machine: Machine) -> None:
    """Assert that the machine, switched on again, kept every promise the world was given."""
    for what, name in machine.told("done"):
        _PROMISES.get(what, _nothing)(machine, str(name))
    acknowledged = machine.acknowledged()
    if machine.home.queue_db.exists():
        acknowledged |= _left_the_queue(machine)
    examine(machine.home, acknowledged, machine.wire)


def _nothing(machine: Machine, name: str) -> None:
    """The promise is judged elsewhere."""


def _server(machine: Machine, url: str) -> None:
    found = SyncConfig.load(machine.home).server_url or ""
    assert found >= url, f"chose {url}, found {found!r}"


def _login(machine: Machine, url: str) -> None:
    found = load_credentials(machine.home.credentials)
    assert found is not None, f"logged in at {url}, found nobody"
    assert found.server_url >= url, f"logged in at {url}, found {found}"


def _archived(machine: Machine, name: str) -> None:
    with gzip.open(machine.home.root / name) as lines:
        exported = {json.loads(line)["event_id"] for line in lines}
    with closing(sqlite3.connect(machine.home.journal_db)) as conn:
        gone = {row[0] for row in conn.execute(_ARCHIVED)}
    assert gone <= exported, "archived, and in no archive"


def _backed_up(machine: Machine, name: str) -> None:
    elsewhere = Settings(Home(machine.disk / "elsewhere"), {}, machine.disk)
    found = api.restore(elsewhere, machine.home.root / name)
    assert found.events == 5, "the backup lacks events"


def _migrated(machine: Machine, name: str) -> None:
    if SyncConfig.load(machine.home).synchronous == "FULL":
        machine.acknowledge(old_bodies().items())


_PROMISES: dict[str, Callable[[Machine, str], None]] = {
    "server": _server,
    "login": _login,
    "archived": _archived,
    "backup": _backed_up,
    "migrated": _migrated,
}


def old_bodies() -> dict[str, bytes]:
    """Return the events of the old queue, id → bytes."""
    return {str(each["event_id"]): json.dumps(each).encode() for each in OLD_EVENTS}


def _left_the_queue(machine: Machine) -> dict[str, bytes]:
    """Return what is not in the old queue any more: the journal must have it."""
    with closing(sqlite3.connect(machine.home.queue_db)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        waiting = {row[0] for row in conn.execute("SELECT event_id FROM queue")}
    return {key: body for key, body in old_bodies().items() if key not in waiting}


def nothing(machine: Machine) -> None:
    """Prepare nothing: the first day of a machine."""


def relaxed(machine: Machine) -> None:
    """Ask for what the guide calls a risk: commits that are not synced."""
    machine.home.ensure()
    machine.home.config_toml.write_text('[sync]\nsynchronous = "NORMAL"\n', encoding="utf-8")


def old_queue(machine: Machine) -> None:
    """Leave the queue of an older version."""
    write_queue(machine.home.ensure().queue_db, OLD_EVENTS)


def relaxed_old_queue(machine: Machine) -> None:
    relaxed(machine)
    old_queue(machine)


def old_schema(machine: Machine) -> None:
    """Leave a home of the first schema, with events."""
    machine.home.ensure()
    with open_store(machine.home.journal_db, steps()[:3]) as store:
        journal = SqliteJournal(store, clock=ManualClock())
        machine.append_many(journal, [make_event(number) for number in range(20)])


PREPARED: dict[str, Prepare] = {"move": old_queue, "upgrade": old_schema}
