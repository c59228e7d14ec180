"""Durable append, one event per commit on a kept-open connection, and many in one transaction.

Prints JSON. Floor: plain INSERTs of the same events on a WAL/FULL connection, id and JSON text made
on the way; ours has both gates, the hash and the maintained counts besides.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import floors
from figures import Figure, in_turn, report, seconds
from sample_events import make_bodies, make_event

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

_LATENCIES: list[float] = []


@contextmanager
def _journal() -> Iterator[SqliteJournal]:
    with tempfile.TemporaryDirectory() as scratch, open_home(Home(Path(scratch) / "h")) as store:
        yield SqliteJournal(store, clock=SystemClock())


def single(n: int) -> float:
    """Return events per second appended one by one, admission included."""
    registry, bodies = default_registry(), make_bodies(n)
    with _journal() as journal:
        latencies = []
        for body in bodies:
            start = time.perf_counter()
            journal.append(admit(body, registry=registry))
            latencies.append(time.perf_counter() - start)
    _LATENCIES.extend(latencies)
    return n / sum(latencies)


def bulk(n: int) -> float:
    """Return events per second for one transaction, admission included."""
    registry, bodies = default_registry(), make_bodies(n)
    with _journal() as journal:
        admitted = (admit(body, registry=registry) for body in bodies)
        return n / seconds(lambda: journal.append_many(admitted))


def floor_single(n: int) -> float:
    """Return the floor's events per second, one commit each."""
    events = [make_event(number) for number in range(n)]
    with tempfile.TemporaryDirectory() as scratch:
        conn = floors.open_journal(Path(scratch) / "floor.db")
        took = sum(seconds(lambda one=one: floors.append(conn, one)) for one in events)
        conn.close()
    return n / took


def floor_bulk(n: int) -> float:
    """Return the floor's events per second in one transaction."""
    events = [make_event(number) for number in range(n)]
    with tempfile.TemporaryDirectory() as scratch:
        conn = floors.open_journal(Path(scratch) / "floor.db")
        took = seconds(lambda: floors.append_many(conn, events))
        conn.close()
    return n / took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--bulk", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    one = in_turn(lambda: single(args.n), lambda: floor_single(args.n), args.runs)
    many = in_turn(lambda: bulk(args.bulk), lambda: floor_bulk(args.bulk), args.runs)
    latencies = sorted(_LATENCIES)
    p50, p99 = (latencies[int(len(latencies) * share)] * 1e6 for share in (0.5, 0.99))
    figures = [
        Figure("durable append, one event per commit", one[0], "/s", *one[1:], at_least=0.8),
        Figure("bulk append in one transaction", many[0], "/s", *many[1:], at_least=0.75),
    ]
    report("append_events", args, figures, p50_us=round(p50, 1), p99_us=round(p99, 1))


if __name__ == "__main__":
    main()
