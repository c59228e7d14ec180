"""Run as a program under disk_recorder.c: some work of the product, told to the world outside.

usage: power_work.py TASK ROOT

`ROOT/machine` is the disk that loses its power; `ROOT/world` is what others saw: the receiver's
memory (`wire`) and what was acknowledged to the producer (`acknowledged`, `done`).
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oracle import drain, journal_of, make_event
from recorded_wire import RecordedWire

from spec_kitty_sync import api
from spec_kitty_sync._clock import ManualClock, SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.auth.credentials import Credentials, save_credentials
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.event_journal.retention import Retention
from spec_kitty_sync.events.admission import Admitted
from spec_kitty_sync.sync.config import Settings, SyncConfig
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.migrate_home import cleanup, migrate
from spec_kitty_sync.sync.store import open_home


class Machine:
    """A machine with one home, and the world that watches it."""

    def __init__(self, root: Path) -> None:
        self.disk = root / "machine"
        self.home = Home(self.disk / "user" / ".spec-kitty")
        self.world = root / "world"
        self.wire = RecordedWire(self.world / "wire")
        self.settings = Settings(self.home, {}, self.disk)

    def tell(self, name: str, *lines: object) -> None:
        """Let the world know; it forgets nothing."""
        handle = os.open(self.world / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(handle, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        os.close(handle)

    def told(self, name: str) -> list[object]:
        path = self.world / name
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def acknowledge(self, bodies: Iterable[tuple[str, bytes]]) -> None:
        """Tell the producer that its events are safe: one write for all of them."""
        told = {event_id: base64.b64encode(body).decode() for event_id, body in bodies}
        self.tell("acknowledged", told)

    def acknowledged(self) -> dict[str, bytes]:
        return {
            event_id: base64.b64decode(body)
            for told in self.told("acknowledged")
            for event_id, body in told.items()
        }

    @contextmanager
    def open(self) -> Iterator[tuple[Store, SqliteJournal]]:
        config = SyncConfig.load(self.home)
        with open_home(self.home, synchronous=config.synchronous) as store:
            yield store, journal_of(store, ManualClock())

    def append(self, journal: SqliteJournal, numbers: Iterable[int]) -> None:
        """Append events one by one, acknowledging each."""
        for number in numbers:
            event = make_event(number)
            journal.append(event)
            self.acknowledge([(event.event_id, event.body)])

    def append_many(self, journal: SqliteJournal, events: list[Admitted]) -> None:
        journal.append_many(events)
        self.acknowledge((event.event_id, event.body) for event in events)


def capture(machine: Machine) -> None:
    """A new home, single events, a batch, a second and a third process."""
    with machine.open() as (_, journal):
        machine.append(journal, range(6))
        machine.append_many(journal, [make_event(number) for number in range(10, 40)])
        machine.append(journal, range(40, 44))
    for first in (50, 60):
        with machine.open() as (_, journal):
            machine.append(journal, range(first, first + 4))


def emit(machine: Machine) -> None:
    """The emitter, with its clock's copy and its project."""
    for _ in range(2):
        with open_emitter(machine.settings) as emitter:
            for number in range(8):
                event = emitter.emit_history_added(
                    "WP01", entry_type="note", entry_content=str(number)
                )
                machine.acknowledge([(event.event_id, event.to_wire())])


def bulk(machine: Machine) -> None:
    """Several write-ahead logs full: checkpoints while the work goes on."""
    with machine.open() as (_, journal):
        for first in range(0, 60, 5):
            numbers = range(first, first + 5)
            many = [make_event(n, build_id=str(n) * 90_000) for n in numbers]
            machine.append_many(journal, many)
            machine.append(journal, range(100 + first, 102 + first))


def deliver(machine: Machine) -> None:
    """Appending and draining in turns, small batches."""
    with machine.open() as (store, journal):
        for first in (0, 20):
            machine.append_many(journal, [make_event(n) for n in range(first, first + 16)])
            drain(store, machine.home, machine.wire, batch=5)
            machine.append(journal, range(first + 16, first + 20))


def tidy(machine: Machine) -> None:
    """archive, gc and vacuum of what was delivered, between appends."""
    with machine.open() as (store, journal):
        machine.append_many(journal, [make_event(n) for n in range(30)])
        drain(store, machine.home, machine.wire)
        machine.append(journal, range(30, 33))
        retention = Retention(store, journal, clock=SystemClock())
        archived = machine.home.root / "archive.jsonl.gz"
        retention.archive(archived)
        machine.tell("done", ["archived", archived.name])
        drain(store, machine.home, machine.wire)
        machine.append(journal, range(33, 36))
        retention.collect("delivered")
        retention.vacuum()
        machine.append(journal, range(36, 39))


def move(machine: Machine) -> None:
    """migrate a queue of an older version, then take its rows out of it."""
    migrate(machine.settings)
    machine.tell("done", ["migrated", ""])
    cleanup(machine.settings)
    machine.tell("done", ["cleaned", ""])


def upgrade(machine: Machine) -> None:
    """Bring the schema of an older home up to date, and go on."""
    with machine.open() as (_, journal):
        machine.append(journal, range(100, 104))


def settle(machine: Machine) -> None:
    """Choose servers, log in, choose again."""
    for number in range(3):
        url = f"https://server-{number}.example"
        api.choose_server(machine.settings, url)
        machine.tell("done", ["server", url])
        save_credentials(machine.home.credentials, Credentials(url, "ada", None, "token"))
        machine.tell("done", ["login", url])


def keep(machine: Machine) -> None:
    """backup, newer events, restore, newer events."""
    with machine.open() as (_, journal):
        machine.append(journal, range(5))
    backup = machine.home.root / "backup.db"
    api.back_up(machine.settings, backup)
    machine.tell("done", ["backup", backup.name])
    with machine.open() as (_, journal):
        machine.append(journal, range(5, 10))
    api.restore(machine.settings, backup)
    with machine.open() as (_, journal):
        machine.append(journal, range(10, 14))


TASKS: dict[str, Callable[[Machine], None]] = {
    task.__name__: task
    for task in (capture, emit, bulk, deliver, tidy, move, upgrade, settle, keep)
}

if __name__ == "__main__":
    TASKS[sys.argv[1]](Machine(Path(sys.argv[2])))
