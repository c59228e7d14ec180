"""Several processes appending to one home, one event per commit; nothing may be lost.

Prints JSON: events per second over all processes beside the floor's, and the slowest single append.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import floors
from figures import Figure, in_turn, report
from sample_events import make_bodies, make_event

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

_COUNT = {
    "append": "SELECT count(*) FROM event_journal",
    "append_plainly": "SELECT count(*) FROM journal",
}


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


def append_plainly(root: str, number: int, count: int, ready, go, slowest) -> None:  # type: ignore[no-untyped-def]
    """Do the same as the floor does it."""
    events = [make_event(number * 1_000_000 + each) for each in range(count)]
    with closing(floors.open_journal(Path(root) / "journal.db")) as conn:
        ready.release()
        go.wait()
        for event in events:
            floors.append(conn, event)


def run(work: Callable[..., None], processes: int, count: int) -> tuple[float, float]:
    """Return rate and slowest append (ms) of one run; raises if an event was lost."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        home = Home(Path(scratch) / "h").ensure()
        if work is append:
            open_home(home).close()
        else:
            floors.open_journal(home.root / "journal.db").close()
        ready, go = context.Semaphore(0), context.Event()
        slowest = context.Array("d", processes)
        started = [
            context.Process(target=work, args=(str(home.root), n, count, ready, go, slowest))
            for n in range(processes)
        ]
        for process in started:
            process.start()
        for _ in started:
            if not ready.acquire(timeout=60):
                raise SystemExit("a process did not get ready")
        start = time.perf_counter()
        go.set()
        for process in started:
            process.join()
        took = time.perf_counter() - start
        with closing(sqlite3.connect(home.root / "journal.db")) as conn:
            stored = conn.execute(_COUNT[work.__name__]).fetchone()[0]
        if stored != processes * count:
            raise SystemExit(f"{stored} of {processes * count} events were stored")
        return processes * count / took, max(slowest) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    slowest: list[float] = []

    def ours() -> float:
        rate, worst_ms = run(append, args.processes, args.n)
        slowest.append(worst_ms)
        return rate

    def floor() -> float:
        return run(append_plainly, args.processes, args.n)[0]

    rates = in_turn(ours, floor, args.runs)
    worst_ms = round(statistics.median(slowest), 1)
    figures = [
        Figure(f"{args.processes} processes appending", rates[0], "/s", *rates[1:], at_least=0.7),
        Figure("  their slowest append", worst_ms, "ms", at_most=100),
    ]
    report("append_concurrent", args, figures)


if __name__ == "__main__":
    main()
