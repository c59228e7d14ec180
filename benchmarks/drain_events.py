"""Drain N events to a local stub, beside a floor that does the same with nothing around it.

Prints JSON: events per second of both for each size, how the rate changes with the size, and the
rate against answers that come late. The floor is plain code: select behind a mark, join, gzip 6,
one kept-open http.client connection, one executemany and one commit per batch.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from fast_stub import fast_stub
from figures import Figure, in_turn, report
from sample_events import make_bodies

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.delivery.dispatcher import Dispatcher
from spec_kitty_sync.delivery.ledger import SqliteLedger
from spec_kitty_sync.delivery.receivers import StubReceiver
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

_BATCH = 1000
_FLOOR_SCHEMA = """
CREATE TABLE journal(seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE ledger(target TEXT, seq INTEGER, event_id TEXT, status TEXT, attempts INTEGER,
    first_at TEXT, last_at TEXT, http_status INTEGER, error TEXT,
    PRIMARY KEY(target, seq)) WITHOUT ROWID;
"""
_FLOOR_SELECT = """
SELECT j.seq, j.event_id, j.body FROM journal j
LEFT JOIN ledger l ON l.target = 't' AND l.seq = j.seq AND l.status IN ('success', 'duplicate')
WHERE j.seq > ? AND l.seq IS NULL ORDER BY j.seq LIMIT ?
"""
_FLOOR_RECORD = """
INSERT INTO ledger VALUES ('t', ?, ?, ?, 1, ?, ?, 200, NULL)
ON CONFLICT DO UPDATE SET status = excluded.status, attempts = attempts + 1,
    last_at = excluded.last_at
"""
_NOW = "2026-02-12T10:00:00+00:00"


class Floor:
    """The whole drain in plain code."""

    def __init__(self, path: Path, bodies: list[bytes], url: str) -> None:
        self.conn = sqlite3.connect(path, isolation_level=None)
        self.conn.execute("PRAGMA journal_mode=WAL")
        self.conn.execute("PRAGMA synchronous=FULL")
        self.conn.executescript(_FLOOR_SCHEMA)
        self.conn.execute("BEGIN")
        rows = ((json.loads(body)["event_id"], body) for body in bodies)
        self.conn.executemany("INSERT INTO journal(event_id, body) VALUES (?, ?)", rows)
        self.conn.execute("COMMIT")
        parts = urlsplit(url)
        self.http = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def prepare(self, after: int) -> tuple[list[tuple[int, str, bytes]], bytes] | None:
        rows = self.conn.execute(_FLOOR_SELECT, (after, _BATCH)).fetchall()
        if not rows:
            return None
        joined = b'{"events":[' + b",".join([row[2] for row in rows]) + b"]}"
        return rows, gzip.compress(joined, 6)

    def send(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        self.http.request("POST", "/api/v1/events/batch/", body=body, headers=headers)
        return self.http.getresponse().read()

    def record(self, rows: list[tuple[int, str, bytes]], answer: bytes) -> None:
        said = {item["event_id"]: item["status"] for item in json.loads(answer)["results"]}
        self.conn.execute("BEGIN IMMEDIATE")
        values = ((seq, event_id, said[event_id], _NOW, _NOW) for seq, event_id, _ in rows)
        self.conn.executemany(_FLOOR_RECORD, values)
        self.conn.execute("COMMIT")

    def drain(self) -> None:
        after = 0
        while (chosen := self.prepare(after)) is not None:
            rows, body = chosen
            self.record(rows, self.send(body))
            after = rows[-1][0]


def floor_rate(n: int, url: str) -> float:
    """Return the floor's events per second."""
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        floor = Floor(Path(scratch) / "floor.db", make_bodies(n), url)
        start = time.perf_counter()
        floor.drain()
        taken = time.perf_counter() - start
        (count,) = floor.conn.execute("SELECT count(*) FROM ledger").fetchone()
        assert count == n
        floor.conn.close()
        return n / taken


def our_rate(n: int, url: str) -> float:
    """Return our events per second, from the lock to the report."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        home = Home(Path(scratch) / "home")
        with open_home(home) as store, HttpClient() as client:
            journal = SqliteJournal(store, clock=clock)
            registry = default_registry()
            bodies = make_bodies(n)
            journal.append_many(admit(body, registry=registry) for body in bodies)
            del bodies
            store.checkpoint()
            target = TargetRegistry(store, clock=clock).ensure(url)
            ledger = SqliteLedger(store, clock=clock)
            dispatcher = Dispatcher(store, journal, ledger=ledger, clock=clock)
            receiver = StubReceiver(url, client)
            start = time.perf_counter()
            report = dispatcher.drain(target, receiver, locks_dir=home.locks_dir)
            taken = time.perf_counter() - start
            assert report.delivered == n, report
        return n / taken


def main() -> None:
    """Measure both sides in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--late", type=int, default=20_000, help="events with late answers")
    parser.add_argument("--delay-ms", type=float, default=50.0)
    args = parser.parse_args()
    figures = []
    rates: dict[int, float] = {}
    with fast_stub() as url:
        our_rate(1000, url)
        for n in args.sizes:
            ours, floor, ratio = in_turn(
                lambda n=n: our_rate(n, url), lambda n=n: floor_rate(n, url), args.runs
            )
            rates[n] = ours
            at_least = 0.6 if n < 100_000 else None
            figures.append(Figure(f"drain {n:,}", ours, "/s", floor, ratio, at_least=at_least))
    for small, large in zip(args.sizes, args.sizes[1:], strict=False):
        least = 0.85 if small == 1000 else 0.65
        name = f"  rate({large:,}) / rate({small:,})"
        figures.append(Figure(name, rates[large] / rates[small], "x", at_least=least))
    figures.append(late_answers(args))
    report("drain_events", args, figures)


def late_answers(args: argparse.Namespace) -> Figure:
    """Return the rate against a receiver whose answers are late, beside batches ÷ latency."""
    possible = _BATCH / (args.delay_ms / 1000)
    with fast_stub(args.delay_ms) as url:
        rate = statistics.median(our_rate(args.late, url) for _ in range(3))
    name = f"drain {args.late:,}, answers {args.delay_ms:g} ms late"
    return Figure(name, rate, "/s", possible, rate / possible, at_least=0.85)


if __name__ == "__main__":
    main()
