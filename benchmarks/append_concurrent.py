"""Several processes appending to one home, one event per commit; nothing may be lost.

Prints JSON: events per second over all processes, and the slowest single append.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
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


def append(root: str, number: int, count: int, ready, go, slowest) -> None:  # type: ignore[no-untyped-def]
    """Append *count* events of this process's own; report the slowest append in seconds."""
    bodies = make_bodies(count, start=number * 1_000_000)
    registry = default_registry()
    worst = 0.0
    with open_home(Home(Path(root))) as store:
        journal = SqliteJournal(store, clock=SystemClock())
        ready.release()
        go.wait()
        for body in bodies:
            start = time.perf_counter()
            journal.append(admit(body, registry=registry))
            worst = max(worst, time.perf_counter() - start)
    slowest[number] = worst


def run(processes: int, count: int) -> dict[str, float]:
    """Return rate and slowest append of one run; raises if an event was lost."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch) / "h")
        open_home(home).close()
        ready, go = context.Semaphore(0), context.Event()
        slowest = context.Array("d", processes)
        started = [
            context.Process(target=append, args=(str(home.root), n, count, ready, go, slowest))
            for n in range(processes)
        ]
        for process in started:
            process.start()
        for _ in started:
            ready.acquire()
        start = time.perf_counter()
        go.set()
        for process in started:
            process.join()
        took = time.perf_counter() - start
        with open_home(home) as store:
            stored = store.conn.execute("SELECT count(*) FROM event_journal").fetchone()[0]
        if stored != processes * count:
            raise SystemExit(f"{stored} of {processes * count} events were stored")
        return {"per_s": round(processes * count / took, 1), "max_ms": round(max(slowest) * 1e3, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--n", type=int, default=1000)
    args = parser.parse_args()
    results = run(args.processes, args.n)
    print(json.dumps({"bench": "append_concurrent", "args": vars(args), "results": results}))


if __name__ == "__main__":
    main()
