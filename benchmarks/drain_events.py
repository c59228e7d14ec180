"""Drain N events to a local stub, beside a floor that does the same with nothing around it.

Prints JSON: events per second of both, the ratio run by run, and our peak memory. The floor is
plain code: select behind a mark, join, gzip 6, one kept-open http.client connection, one
executemany and one commit per batch; with `--floor overlap` it also sends from a thread.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import queue
import resource
import sqlite3
import statistics
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from fast_stub import fast_stub
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

    def simple(self) -> None:
        after = 0
        while (chosen := self.prepare(after)) is not None:
            rows, body = chosen
            self.record(rows, self.send(body))
            after = rows[-1][0]

    def overlap(self) -> None:
        to_send: queue.Queue[bytes | None] = queue.Queue()
        answers: queue.Queue[bytes] = queue.Queue()

        def work() -> None:
            while (body := to_send.get()) is not None:
                answers.put(self.send(body))

        sender = threading.Thread(target=work)
        sender.start()
        chosen = self.prepare(0)
        while chosen is not None:
            rows, body = chosen
            to_send.put(body)
            chosen = self.prepare(rows[-1][0])
            self.record(rows, answers.get())
        to_send.put(None)
        sender.join()


def floor_rate(n: int, url: str, *, kind: str) -> float:
    """Return the floor's events per second."""
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        floor = Floor(Path(scratch) / "floor.db", make_bodies(n), url)
        start = time.perf_counter()
        floor.overlap() if kind == "overlap" else floor.simple()
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
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--floor", choices=["simple", "overlap", "none"], default="simple")
    args = parser.parse_args()
    ours, floors = [], []
    with fast_stub(args.delay_ms) as url:
        our_rate(min(args.n, 1000), url)
        for _ in range(args.runs):
            if args.floor != "none":
                floors.append(floor_rate(args.n, url, kind=args.floor))
            ours.append(our_rate(args.n, url))
    ratios = [a / b for a, b in zip(ours, floors, strict=False)]
    results = {
        "median_per_s": round(statistics.median(ours)),
        "floor_median_per_s": round(statistics.median(floors)) if floors else None,
        "ratio_median": round(statistics.median(ratios), 3) if ratios else None,
        "per_s": [round(rate) for rate in ours],
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    print(json.dumps({"bench": "drain_events", "args": vars(args), "results": results}, indent=1))


if __name__ == "__main__":
    main()
