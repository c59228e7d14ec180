"""Many processes on one home, killed at random; and what must be true when they are gone."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from crowd_work import Crowd
from oracle import journal_of, make_event

from spec_kitty_sync import api
from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync.conformance.stub import StubServer
from spec_kitty_sync.delivery.soundness import find_faults
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.migrate_home import migrate
from spec_kitty_sync.sync.store import open_home

PROGRAM = Path(__file__).with_name("crowd_work.py")
DEADLINE_S = 300.0
_ROWS = "SELECT event_id, body, removed FROM event_journal"
_STANDING = """
SELECT j.seq, j.event_type, j.hold, j.removed, t.url, t.epoch, l.epoch, l.state, l.category, e.mark
FROM event_journal j CROSS JOIN delivery_targets t
LEFT JOIN delivery_ledger l USING (target_id, seq) LEFT JOIN delivery_epochs e USING (target_id)
WHERE j.event_id = ?
"""


@dataclass(frozen=True)
class Ended:
    """What a crowd came to: kills, finished pieces of work by role, waits by code, events."""

    kills: int
    cycles: Counter[str]
    waits: Counter[str]
    acknowledged: int
    delivered: int


class Crew:
    """Processes by role; who dies is replaced."""

    def __init__(self, crowd: Crowd) -> None:
        self._maker = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(crowd.disk.parent), *crowd.servers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self.at_work: dict[int, str] = {}

    def add(self, role: str) -> None:
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.write(role + "\n")
        self._maker.stdin.flush()
        self.at_work[int(self._maker.stdout.readline())] = role

    def kill(self, pid: int) -> str:
        """Kill one and return what it was doing; its place stays empty."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self.at_work.pop(pid)

    def end(self) -> None:
        for pid in list(self.at_work):
            self.kill(pid)
        self._maker.communicate()


@contextmanager
def crowded(root: Path) -> Iterator[tuple[Crowd, StubServer, StubServer]]:
    """Give a machine that knows two servers already."""
    with StubServer() as first, StubServer() as second:
        crowd = Crowd(root, first.url, second.url)
        (crowd.disk / ".kittify").mkdir(parents=True)
        crowd.world.mkdir()
        for server in crowd.servers:
            api.choose_server(crowd.settings, server)
            drain_home(crowd.settings)
        yield crowd, first, second


def run(root: Path, roles: list[str], *, kills: int, rounds: int, seed: int) -> Ended:
    """Let *roles* work until each has ended *rounds* pieces of work and *kills* died; judge."""
    chance = random.Random(seed)
    with crowded(root) as (crowd, first, second):
        crew, killed = Crew(crowd), 0
        until = time.monotonic() + DEADLINE_S
        try:
            for role in roles:
                crew.add(role)
            while killed < kills or not _all_worked(crowd, roles, rounds):
                assert time.monotonic() < until, Counter(crowd.told("cycles"))
                assert not crowd.told("errors"), crowd.told("errors")[0]
                time.sleep(chance.uniform(0.0, 0.15))
                if kills == 0:
                    continue
                crew.add(crew.kill(chance.choice(sorted(crew.at_work))))
                killed += 1
        finally:
            crew.end()
        assert not crowd.told("errors"), crowd.told("errors")[0]
        delivered = judge(crowd, first, second)
        return Ended(
            killed,
            Counter(crowd.told("cycles")),
            Counter(code for _, code in crowd.told("waits")),
            len(crowd.acknowledged()),
            delivered,
        )


def _all_worked(crowd: Crowd, roles: list[str], rounds: int) -> bool:
    done = Counter(crowd.told("cycles"))
    return all(done[role] >= rounds for role in roles)


def judge(crowd: Crowd, *servers: StubServer) -> int:
    """Assert the five properties after a last import and a last delivery to each server."""
    migrate(crowd.settings)
    fresh = make_event(999_999)
    with open_home(crowd.home) as store:
        journal_of(store, SystemClock()).append(fresh)
    for server in servers:
        api.choose_server(crowd.settings, server.url)
        report = drain_home(crowd.settings)
        assert report.stop is None, report.stop
        assert fresh.event_id in server.stored_ids, "a fresh event does not get through"
    with open_home(crowd.home) as store:
        assert find_faults(store) == []
    with closing(sqlite3.connect(crowd.home.journal_db)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = {key: (body, removed) for key, body, removed in conn.execute(_ROWS)}
    _kept_or_delivered(crowd, rows, *servers)
    for server in servers:
        _only_stored_bytes(crowd, rows, server)
    return len(set().union(*(server.stored_ids for server in servers)))


Rows = dict[str, tuple[bytes | None, str | None]]


def _kept_or_delivered(crowd: Crowd, rows: Rows, *servers: StubServer) -> None:
    acknowledged, given_up = crowd.acknowledged(), set(crowd.told("discarded"))
    assert acknowledged.keys() <= rows.keys(), "acknowledged and lost"
    other = [i for i, body in acknowledged.items() if rows[i][0] not in (None, body)]
    assert other == [], "acknowledged and stored otherwise"
    for server in servers:
        stored = set(server.stored_ids)
        left = {i: standing(crowd, i) for i in sorted(acknowledged.keys() - stored)[:3]}
        seen = server.seen_ids
        told = {i: seen.count(i) for i in left}
        assert not left, f"acknowledged and not delivered to {server.url}: {left}, {told}"
        gone = {key for key, (body, _) in rows.items() if body is None} - given_up
        assert gone <= stored, "removed before every target had it"


def standing(crowd: Crowd, event_id: str) -> list[tuple[object, ...]]:
    """Return what the journal and the ledger say of an event, for a failure's message."""
    with closing(sqlite3.connect(crowd.home.journal_db)) as conn:
        return conn.execute(_STANDING, (event_id,)).fetchall()


def _only_stored_bytes(crowd: Crowd, rows: Rows, server: StubServer) -> None:
    """What was on the wire are ids of the journal, with the bytes that it keeps or kept."""
    known = {key: body for key, (body, _) in rows.items() if body is not None}
    known |= crowd.acknowledged()
    assert set(server.seen_ids) <= rows.keys(), "sent, and not in the journal"
    for request in server.requests:
        if all(key in known for key in request.ids):
            joined = b",".join(known[key] for key in request.ids)
            assert request.raw == b'{"events":[' + joined + b"]}", "sent other bytes"
