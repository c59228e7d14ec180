"""Run as a program: makes, as told on stdin, processes that all work on one home.

usage: crowd_work.py ROOT A_URL B_URL     stdin: a role on each line; stdout: its process id

A role repeats one kind of work until it is killed. What must outlive the kill stands in
`ROOT/world` (see `power_work.Machine`): what was acknowledged, `cycles`, `waits`, `errors`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from legacy_homes import event, write_queue
from oracle import journal_of
from power_work import Machine
from ulid import ULID

from spec_kitty_sync import api
from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync.errors import (
    DrainLockedError,
    MigrationError,
    SourceError,
    StoreBusyError,
)
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.migrate_home import cleanup, migrate
from spec_kitty_sync.sync.retaining import archive, collect
from spec_kitty_sync.sync.status import build_status
from spec_kitty_sync.sync.store import open_home

# Somebody else has the lock: said within bounds, and the next attempt may do it.
WAITS = (DrainLockedError, MigrationError, SourceError, StoreBusyError)


class Crowd(Machine):
    """The machine on which everybody works, and the two servers of its operator."""

    def __init__(self, root: Path, *servers: str) -> None:
        super().__init__(root)
        self.servers = servers

    def emit(self) -> None:
        with open_emitter(self.settings) as emitter:
            for number in range(5):
                made = emitter.emit_history_added(
                    "WP01", entry_type="note", entry_content=str(number)
                )
                self.acknowledge([(made.event_id, made.to_wire())])

    def append(self) -> None:
        with open_home(self.home) as store:
            journal = journal_of(store, SystemClock())
            for count in (1, 1, 20):
                made = [admit(_body(), registry=default_registry()) for _ in range(count)]
                journal.append_many(made)
                self.acknowledge((each.event_id, each.body) for each in made)

    def append_and_rest(self) -> None:
        """Append for a while, then stay until killed."""
        self.append()
        self.append()
        self.tell("cycles", "append_and_rest")
        signal.pause()

    def drain(self) -> None:
        drain_home(self.settings, lock_wait_s=0.5)

    def switch(self) -> None:
        """Choose a server, then deliver there: targets change under everybody's hands."""
        api.choose_server(self.settings, random.choice(self.servers))
        drain_home(self.settings, lock_wait_s=0.5)

    def move(self) -> None:
        """Leave events in an old queue, import them, now and then empty it."""
        bodies = [json.loads(_body()) for _ in range(5)]
        write_queue(self.home.queue_db, bodies)
        self.acknowledge((each["event_id"], json.dumps(each).encode()) for each in bodies)
        migrate(self.settings)
        if random.random() < 0.3:
            cleanup(self.settings)

    def tidy(self) -> None:
        if random.random() < 0.5:
            collect(self.settings, ("delivered",))
        else:
            archive(self.settings, self.world / f"archive-{ULID()}.jsonl.gz")

    def look(self) -> None:
        """Read while all others write: the numbers must add up at any moment."""
        report = build_status(self.settings)
        wrong = [each.message for each in report.attention if each.code == "unaccounted"]
        assert not wrong, wrong

    def correct(self) -> None:
        """Append events without a project, which are held; replace one, give one up."""
        held, doomed = (json.loads(_body(project_uuid=None)) for _ in range(2))
        self.tell("discarded", doomed["event_id"])
        with open_home(self.home) as store:
            admitted = [
                admit(json.dumps(each).encode(), registry=default_registry())
                for each in (held, doomed)
            ]
            journal_of(store, SystemClock()).append_many(admitted)
        mended = self.world / f"mended-{held['event_id']}.json"
        body = _body(event_id=held["event_id"])
        mended.write_bytes(body)
        if api.replace(self.settings, mended, event_id=held["event_id"]).changed:
            self.acknowledge([(held["event_id"], body)])
        api.discard(self.settings, [doomed["event_id"]], reason="a mistake")

    def serve(self) -> None:
        """Be the background service, in the foreground."""
        api.watch(self.settings, lambda beat: self.tell("cycles", "serve"))


ROLES: dict[str, Callable[[Crowd], None]] = {
    name: getattr(Crowd, name)
    for name in (
        "emit", "append", "append_and_rest", "drain", "switch", "move", "tidy", "look", "correct",
        "serve",
    )
}  # fmt: skip


def _body(**changes: object) -> bytes:
    return json.dumps(event(1, **{"event_id": str(ULID()), **changes})).encode()


def work(crowd: Crowd, role: str) -> None:
    """Do *role* again and again."""
    random.seed()
    while True:
        try:
            ROLES[role](crowd)
            crowd.tell("cycles", role)
        except WAITS as exc:
            crowd.tell("waits", [role, exc.code])


def main() -> None:
    """Fork a process for each line."""
    crowd = Crowd(Path(sys.argv[1]), *sys.argv[2:])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                work(crowd, line.strip())
            finally:
                crowd.tell("errors", [line.strip(), traceback.format_exc()])
                os._exit(1)
        print(child, flush=True)


if __name__ == "__main__":
    main()
