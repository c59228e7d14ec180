"""`sync status` on small and large journals: the whole command, and the report alone.

Prints JSON: wall milliseconds (median) for each size and standing, the command beside the start-up
floor, and how that grows from the smallest journal to the largest. Standings: `new` was never
drained, `half` is half-way through its first drain, `done` has delivered everything.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from figures import Figure, report
from sample_events import make_bodies

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import Admitted, admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.config import Settings, write_settings
from spec_kitty_sync.sync.status import build_status
from spec_kitty_sync.sync.store import open_home

_URL = "http://127.0.0.1:9"
_CHUNK = 10_000
_FLOOR = [sys.executable, "-c", "import click, sqlite3, json"]
_STATUS = [sys.executable, "-m", "spec_kitty_sync", "sync", "status"]
_DELIVER = """
INSERT INTO delivery_ledger(target_id, epoch, seq, state, claimed, attempts, first_at, last_at)
SELECT ?1, 1, seq, 'delivered', 1, 1, ?3, ?3 FROM journal_ids WHERE seq > ?4 AND seq <= ?2
"""
_COUNT = "INSERT OR REPLACE INTO delivery_counts VALUES (?, 1, 'delivered', '', ?)"
_MARK = "UPDATE delivery_epochs SET mark = ? WHERE target_id = ?"


def _events(count: int) -> Iterator[list[Admitted]]:
    registry = default_registry()
    for start in range(0, count, _CHUNK):
        bodies = make_bodies(min(_CHUNK, count - start), start=start)
        yield [admit(body, registry=registry) for body in bodies]


def fill(home: Home, count: int) -> None:
    """Append *count* events, for a server that nothing was sent to."""
    with open_home(home) as store:
        journal = SqliteJournal(store, clock=SystemClock())
        for chunk in _events(count):
            journal.append_many(chunk)
    write_settings(home, {"server_url": _URL})


def deliver(home: Home, upto: int, *, after: int) -> None:
    """Mark the events behind *after* up to *upto* as delivered."""
    clock = SystemClock()
    with open_home(home) as store:
        target = TargetRegistry(store, clock=clock).ensure(_URL).target_id
        with store.transaction() as conn:
            conn.execute(_DELIVER, (target, upto, clock.now_ms(), after))
            conn.execute(_COUNT, (target, upto))
            conn.execute(_MARK, (upto, target))


def _median_ms(action: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(times), 2)


def measure(home: Home, runs: int) -> dict[str, float]:
    """Return medians of the report, the command and the floor, taken in turn."""
    settings = Settings(home, {}, home.root)
    environ = {**os.environ, "SPEC_KITTY_HOME": str(home.root)}

    def command(argv: list[str]) -> None:
        subprocess.run(argv, env=environ, stdout=subprocess.DEVNULL, check=True)

    found: dict[str, list[float]] = {"report_ms": [], "command_ms": [], "floor_ms": []}
    for _ in range(runs):
        found["report_ms"].append(_median_ms(lambda: build_status(settings), 3))
        found["command_ms"].append(_median_ms(lambda: command(_STATUS), 1))
        found["floor_ms"].append(_median_ms(lambda: command(_FLOOR), 1))
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def _beside_floor(standings: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        name: round(each["command_ms"] / each["floor_ms"], 2) for name, each in standings.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for size in args.sizes:
        with tempfile.TemporaryDirectory(prefix="status-") as scratch:
            home = Home(Path(scratch) / "home").ensure()
            fill(home, size)
            standings = {"new": measure(home, args.runs)}
            deliver(home, size // 2, after=0)
            standings["half"] = measure(home, args.runs)
            deliver(home, size, after=size // 2)
            standings["done"] = measure(home, args.runs)
            results[str(size)] = standings
    first, last = str(args.sizes[0]), str(args.sizes[-1])
    beside = {size: _beside_floor(found) for size, found in results.items()}
    # Both beside the floor of their own minute: the machine is not equally busy all the time.
    growth = max(beside[last][name] / beside[first][name] for name in beside[first])
    worst = max(ratio for found in beside.values() for ratio in found.values())
    done = results[last]["done"]
    figures = [
        Figure(
            f"sync status, {int(last):,} events",
            done["command_ms"],
            "ms",
            done["floor_ms"],
            worst,
            at_most=2.3,
        ),
        Figure(f"  growth from {int(first):,} events", growth, "x", at_most=2),
    ]
    report("status_size", args, figures, sizes=results, to_floor=beside)


if __name__ == "__main__":
    main()
