"""Migrate 5 queues of 2,000 (or more) events, and run again over unchanged sources.

Prints one JSON object: events per second of the first run beside the floor's (read, parse, hash,
insert with provenance), and how much faster the second is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import floors
from figures import Figure, in_turn, report, seconds

from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.migrate_home import migrate

_PROJECT = "550e8400-e29b-41d4-a716-446655440000"
_QUEUE = """
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT UNIQUE NOT NULL, event_type TEXT NOT NULL,
    data TEXT NOT NULL, timestamp INTEGER NOT NULL, retry_count INTEGER DEFAULT 0,
    coalesce_key TEXT
)
"""
_ADD = "INSERT INTO queue (event_id, event_type, data, timestamp) VALUES (?, ?, ?, ?)"


def make_event(number: int) -> dict[str, object]:
    """Return one event as old CLIs wrote them, about 640 bytes."""
    wp_id = f"WP{number % 40:02d}"
    return {
        "event_id": f"01KA0000000000000{number:09d}",
        "event_type": "WPStatusChanged",
        "aggregate_id": wp_id,
        "aggregate_type": "WorkPackage",
        "payload": {
            "wp_id": wp_id,
            "from_lane": "planned",
            "to_lane": "in_progress",
            "actor": "claude-agent",
            "feature_slug": "039-cli-2x-readiness",
        },
        "timestamp": f"2026-02-12T10:{(number // 60) % 60:02d}:{number % 60:02d}+00:00",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": number + 1,
        "causation_id": None,
        "correlation_id": f"01KB0000000000000{number:09d}",
        "schema_version": "1.0.0",
        "data_tier": 1,
        "team_slug": "priivacy",
        "project_uuid": _PROJECT,
        "project_slug": "spec-kitty",
    }


def write_queues(home: Path, queues: int, per_queue: int) -> None:
    """Fill *queues* scoped databases with distinct events."""
    (home / "queues").mkdir(parents=True)
    for number in range(queues):
        digest = hashlib.sha256(str(number).encode()).hexdigest()[:16]
        with closing(sqlite3.connect(home / "queues" / f"queue-{digest}.db")) as conn, conn:
            conn.execute(_QUEUE)
            made = map(make_event, range(number * per_queue, (number + 1) * per_queue))
            conn.executemany(
                _ADD,
                [
                    (e["event_id"], e["event_type"], json.dumps(e), 1_770_000_000 + i)
                    for i, e in enumerate(made)
                ],
            )


def measure(queues: int, per_queue: int) -> tuple[float, float]:
    """Return the seconds of a first and of a second run over the same queues."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_queues(home, queues, per_queue)
        settings = Settings(Home(home), {}, home)
        took = []
        for expected in (queues * per_queue, 0):
            start = time.perf_counter()
            report = migrate(settings)
            took.append(time.perf_counter() - start)
            assert report.imported == expected, report
            assert report.exit_code == 0
    return took[0], took[1]


def floor_rate(queues: int, per_queue: int) -> float:
    """Return the floor's events per second."""
    with tempfile.TemporaryDirectory() as folder:
        write_queues(Path(folder), queues, per_queue)
        paths = sorted((Path(folder) / "queues").iterdir())
        total = queues * per_queue
        took = seconds(lambda: floors.migrate(paths, Path(folder) / "floor.db"))
        return total / took


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--dbs", type=int, default=5)
    options.add_argument("--per-db", type=int, default=2000)
    options.add_argument("--runs", type=int, default=5)
    args = options.parse_args()
    measure(1, 10)  # imports and compiled schemas are paid once per process, not per event
    again: list[float] = []

    def ours() -> float:
        first, second = measure(args.dbs, args.per_db)
        again.append(first / second)
        return args.dbs * args.per_db / first

    rates = in_turn(ours, lambda: floor_rate(args.dbs, args.per_db), args.runs)
    name = f"migrate {args.dbs} x {args.per_db:,}"
    figures = [
        Figure(name, rates[0], "/s", *rates[1:], at_least=0.65),
        Figure("  unchanged re-run, times faster", statistics.median(again), "x", at_least=5),
    ]
    report("migrate_queues", args, figures)


if __name__ == "__main__":
    main()
