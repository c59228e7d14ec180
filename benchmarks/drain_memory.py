"""Peak memory of a process that drains 1,000 and 100,000 events of about 1 KB to a local stub.

Prints JSON: peak RSS of each in MiB, their difference, and what Python with the imports alone
takes. The homes are filled by other processes, so that only the drain is measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from fast_stub import fast_stub
from figures import Figure, report


def fill(home_dir: str, n: int) -> None:
    """Append *n* events of 1 KB."""
    from sample_events import make_event

    from spec_kitty_sync._clock import SystemClock
    from spec_kitty_sync._files import Home
    from spec_kitty_sync.event_journal.journal import SqliteJournal
    from spec_kitty_sync.events.admission import admit
    from spec_kitty_sync.events.registry import default_registry
    from spec_kitty_sync.sync.store import open_home

    registry = default_registry()
    with open_home(Home(Path(home_dir))) as store:
        journal = SqliteJournal(store, clock=SystemClock())
        bodies = (
            json.dumps({**make_event(i), "build_id": "x" * 330}, separators=(",", ":")).encode()
            for i in range(n)
        )
        journal.append_many(admit(body, registry=registry) for body in bodies)


def drain(home_dir: str, url: str) -> None:
    """Drain, and print this process's peak memory in MiB."""
    from spec_kitty_sync._clock import SystemClock
    from spec_kitty_sync._files import Home
    from spec_kitty_sync._http import HttpClient
    from spec_kitty_sync.delivery.dispatcher import Dispatcher
    from spec_kitty_sync.delivery.ledger import SqliteLedger
    from spec_kitty_sync.delivery.receivers import StubReceiver
    from spec_kitty_sync.delivery.targets import TargetRegistry
    from spec_kitty_sync.event_journal.journal import SqliteJournal
    from spec_kitty_sync.sync.store import open_home

    clock = SystemClock()
    home = Home(Path(home_dir))
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with open_home(home) as store, HttpClient() as client:
        journal = SqliteJournal(store, clock=clock)
        ledger = SqliteLedger(store, clock=clock)
        dispatcher = Dispatcher(store, journal, ledger=ledger, clock=clock)
        target = TargetRegistry(store, clock=clock).ensure(url)
        receiver = StubReceiver(url, client)
        report = dispatcher.drain(target, receiver, locks_dir=home.locks_dir)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([report.delivered, round(imported, 1), round(peak, 1)]))


def run(*arguments: str) -> str:
    """Run this file in a process of its own and return what it prints."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, nargs=2, default=[1000, 100_000])
    args = parser.parse_args()
    peaks, imported = {}, 0.0
    with fast_stub() as url:
        for n in args.n:
            with tempfile.TemporaryDirectory(dir=".") as scratch:
                run("fill", scratch + "/home", str(n))
                delivered, imported, peaks[n] = json.loads(run("drain", scratch + "/home", url))
                assert delivered == n
    small, large = args.n
    figures = [
        Figure(f"peak memory of a drain of {large:,}", peaks[large], "MiB", at_most=45),
        Figure(f"  more than of {small:,}", peaks[large] - peaks[small], "MiB", at_most=5),
    ]
    report("drain_memory", args, figures, imports_alone_mib=imported)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        fill(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["drain"]:
        drain(sys.argv[2], sys.argv[3])
    else:
        main()
