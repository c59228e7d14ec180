"""Durable append, one event per commit on a kept-open connection, and many in one transaction.

Prints JSON with events per second. Floor: plain INSERTs on a WAL/FULL connection.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from sample_events import make_bodies

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home


def single(bodies: list[bytes]) -> dict[str, float]:
    """Return rate and latencies of *bodies* appended one by one, admission included."""
    registry = default_registry()
    with tempfile.TemporaryDirectory() as scratch, open_home(Home(Path(scratch) / "h")) as store:
        journal = SqliteJournal(store, clock=SystemClock())
        latencies = []
        for body in bodies:
            start = time.perf_counter()
            journal.append(admit(body, registry=registry))
            latencies.append(time.perf_counter() - start)
    latencies.sort()
    return {
        "per_s": round(len(latencies) / sum(latencies), 1),
        "p50_us": round(latencies[len(latencies) // 2] * 1e6, 1),
        "p99_us": round(latencies[int(len(latencies) * 0.99)] * 1e6, 1),
    }


def bulk(bodies: list[bytes]) -> float:
    """Return events per second for one transaction, admission included."""
    registry = default_registry()
    with tempfile.TemporaryDirectory() as scratch, open_home(Home(Path(scratch) / "h")) as store:
        journal = SqliteJournal(store, clock=SystemClock())
        start = time.perf_counter()
        journal.append_many(admit(body, registry=registry) for body in bodies)
        return len(bodies) / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--bulk", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    singles = [single(make_bodies(args.n)) for _ in range(args.runs)]
    results = {
        "single": {key: statistics.median(run[key] for run in singles) for key in singles[0]},
        "bulk_one_transaction_per_s": round(
            statistics.median(bulk(make_bodies(args.bulk)) for _ in range(args.runs))
        ),
    }
    print(json.dumps({"bench": "append_events", "args": vars(args), "results": results}))


if __name__ == "__main__":
    main()
