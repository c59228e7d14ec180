"""Whole emits: clock, git facts, validation, append, one fsync each; in one process and in eight.

Prints JSON: rate, p50 and p99 of one process, and events per second of eight beside each other.
The target is what spec-kitty-cli 3.2.7 does on the machine of the figures: 97/s, times 25.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from figures import Figure, report

from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.config import Settings, write_settings
from spec_kitty_sync.sync.emitter import EventEmitter
from spec_kitty_sync.sync.emitting import open_emitter

MOVE = {
    "feature_slug": "028-cli-event-emission-sync",
    "from_lane": "planned",
    "to_lane": "claimed",
    "actor": "claude",
    "execution_mode": "worktree",
}


def desk(root: Path) -> Settings:
    """Return the settings of a home with a target and a project in a git repository."""
    project = root / "project"
    project.mkdir()
    author = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    for command in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "x")):
        subprocess.run(["git", "-C", str(project), *author, *command], check=True)
    home = Home(root / "home").ensure()
    write_settings(home, {"server_url": "http://127.0.0.1:9"})
    return Settings(home, {}, project)


def emit_one(emitter: EventEmitter) -> None:
    """Emit one event of the most frequent type."""
    emitter.emit_status_transition("WP01", **MOVE)  # type: ignore[arg-type]


def single(n: int) -> list[float]:
    """Return the seconds that each of *n* emits took, sorted; the first one is not counted."""
    with tempfile.TemporaryDirectory() as scratch, open_emitter(desk(Path(scratch))) as emitter:
        emit_one(emitter)
        took = []
        for _ in range(n):
            start = time.perf_counter()
            emit_one(emitter)
            took.append(time.perf_counter() - start)
    return sorted(took)


def _work(settings: Settings, n: int, start, ready, done) -> None:
    with open_emitter(settings) as emitter:
        emit_one(emitter)
        ready.release()
        start.wait()
        for _ in range(n):
            emit_one(emitter)
        done.release()


def together(processes: int, n: int) -> float:
    """Return the events per second of *processes* that emit *n* events each into one home."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        settings = desk(Path(scratch))
        start, ready, done = context.Event(), context.Semaphore(0), context.Semaphore(0)
        workers = [
            context.Process(target=_work, args=(settings, n, start, ready, done))
            for _ in range(processes)
        ]
        for worker in workers:
            worker.start()
        for _ in workers:
            ready.acquire()
        began = time.perf_counter()
        start.set()
        for _ in workers:
            done.acquire()
        took = time.perf_counter() - began
        for worker in workers:
            worker.join()
    return processes * n / took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--processes", type=int, default=8)
    args = parser.parse_args()
    runs = [single(args.n) for _ in range(args.runs)]
    rate = statistics.median(args.n / sum(took) for took in runs)
    p50, p99 = (
        statistics.median(took[int(len(took) * share)] for took in runs) * 1e3
        for share in (0.5, 0.99)
    )
    many = together(args.processes, args.n // 2)
    figures = [
        Figure("whole emit", rate, "/s", at_least=25 * 97),
        Figure("  p50 of an emit", p50, "ms", at_most=0.4),
        Figure(f"  {args.processes} processes emitting", many, "/s"),
    ]
    report("emit_rate", args, figures, p99_ms=round(p99, 2))


if __name__ == "__main__":
    main()
