"""How cost grows with the journal: one home and one file, measured at 1,000 to 1,000,000 events.

Prints JSON. With `--picture FILE.svg` (needs matplotlib) it also draws the
curves. Flat lines are the promise: what an event costs does not depend on how many there are.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from diagnose_events import judge_file, write_file
from fast_stub import fast_stub
from figures import seconds
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
from spec_kitty_sync.sync.config import write_settings
from spec_kitty_sync.sync.store import open_home

_CHUNK = 10_000
_STATUS = [sys.executable, "-m", "spec_kitty_sync", "sync", "status"]
_PANELS = {
    "append_us": "one durable append, µs",
    "bulk_per_s": "bulk append, events/s",
    "drain_per_s": "drain of all that is new, events/s",
    "next_1000_ms": "drain of 1,000 behind N delivered, ms",
    "status_ms": "`sync status`, ms",
    "diagnose_per_s": "`diagnose` of N events, events/s",
}


class Growing:
    """A home that is filled and drained further and further."""

    def __init__(self, home: Home, url: str) -> None:
        self.home, self.url, self.size = home, url, 0
        self._registry, self._clock = default_registry(), SystemClock()
        write_settings(home.ensure(), {"server_url": url})

    def fill(self, upto: int) -> float:
        """Append in bulk until *upto* events are there; return events per second."""
        added, took = upto - self.size, 0.0
        with open_home(self.home) as store:
            journal = SqliteJournal(store, clock=self._clock)
            while self.size < upto:
                bodies = make_bodies(min(_CHUNK, upto - self.size), start=self.size)
                admitted = [admit(body, registry=self._registry) for body in bodies]
                took += seconds(lambda rows=admitted: journal.append_many(rows))
                self.size += len(bodies)
        return added / took

    def append_us(self, count: int = 300) -> float:
        """Return the median microseconds of single appends."""
        with open_home(self.home) as store:
            journal = SqliteJournal(store, clock=self._clock)
            bodies = make_bodies(count, start=self.size)
            self.size += count
            took = [
                seconds(lambda one=body: journal.append(admit(one, registry=self._registry)))
                for body in bodies
            ]
        return statistics.median(took) * 1e6

    def drain_s(self) -> tuple[int, float]:
        """Deliver everything; return how many events and how many seconds."""
        with open_home(self.home) as store, HttpClient() as client:
            store.checkpoint()
            journal = SqliteJournal(store, clock=self._clock)
            target = TargetRegistry(store, clock=self._clock).ensure(self.url)
            ledger = SqliteLedger(store, clock=self._clock)
            dispatcher = Dispatcher(store, journal, ledger=ledger, clock=self._clock)
            receiver = StubReceiver(self.url, client)
            reports: list[Any] = []
            took = seconds(
                lambda: reports.append(
                    dispatcher.drain(target, receiver, locks_dir=self.home.locks_dir)
                )
            )
        return reports[0].delivered, took

    def status_ms(self, runs: int = 5) -> float:
        """Return the median milliseconds of the whole status command."""
        environ = {**os.environ, "SPEC_KITTY_HOME": str(self.home.root)}

        def command() -> None:
            subprocess.run(_STATUS, env=environ, stdout=subprocess.DEVNULL, check=True)

        return statistics.median(seconds(command) for _ in range(runs)) * 1e3


def stage(growing: Growing, size: int, folder: Path) -> dict[str, float]:
    """Grow to *size* and measure everything once."""
    found: dict[str, float] = {"events": size, "bulk_per_s": growing.fill(size)}
    found["append_us"] = growing.append_us()
    delivered, took = growing.drain_s()
    found["drain_per_s"] = delivered / took
    runs = []
    for _ in range(5):
        growing.fill(growing.size + 1000)
        runs.append(growing.drain_s()[1])
    found["next_1000_ms"] = statistics.median(runs) * 1e3
    found["status_ms"] = growing.status_ms()
    path = write_file(folder / "events.jsonl", size)
    found["diagnose_per_s"] = size / seconds(lambda: judge_file(path))
    return {name: round(value, 2) for name, value in found.items()}


def draw(stages: list[dict[str, float]], path: Path) -> None:
    """Write the curves of *stages* as one picture."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    # Ids and dates out of the file: the same figures draw the same picture.
    mpl.rcParams["svg.hashsalt"] = "growth"
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.5), layout="constrained")
    for (key, title), axis in zip(_PANELS.items(), axes.flat, strict=True):
        axis.plot([one["events"] for one in stages], [one[key] for one in stages], marker="o")
        axis.set(xscale="log", title=title, xlabel="events in the journal")
        axis.set_ylim(bottom=0, top=1.4 * max(one[key] for one in stages))
        axis.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--from-json", type=Path, help="draw an earlier run again")
    args = parser.parse_args()
    if args.from_json:
        stages = json.loads(args.from_json.read_text())["stages"]
    else:
        with tempfile.TemporaryDirectory(prefix="growth-") as folder, fast_stub() as url:
            growing = Growing(Home(Path(folder) / "home"), url)
            stages = [stage(growing, size, Path(folder)) for size in args.sizes]
        print(json.dumps({"bench": "growth", "stages": stages}, indent=1))
    if args.picture:
        draw(stages, args.picture)


if __name__ == "__main__":
    main()
