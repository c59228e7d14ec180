"""Run as a program: hurt each scenario at its points and print one JSON object about it.

usage: fault_program.py SCENARIO… [--kind KIND] [--points N] [--seed S] [--again N]
                                  [--only KIND,N[,KIND,N…]]

Without --kind the process is killed at SQL statements and around every send; with it, see
`fault_ground`. Without --points it is every point there is; otherwise N of them, the same for the
same seed. --again N: after each, also N more kills in the runs that go on. A process of its own,
because a fork must not copy a test runner's threads.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from failing_disk import KINDS
from fault_ground import Ground, Point
from fault_scenarios import DELIVERING
from fault_scenarios_keeping import KEEPING
from live_ground import LIVE, LiveGround

SCENARIOS = {**DELIVERING, **KEEPING}
_ENOUGH_FAILURES = 3
_HANDLES = 15
"""More than any operation needs at a time."""


class Strikes:
    """All runs of one scenario, and what came of them."""

    def __init__(self, name: str, folder: Path, options: argparse.Namespace) -> None:
        self._name = name
        self._options = options
        self.ground = (
            LiveGround(LIVE[name], folder) if name in LIVE else Ground(SCENARIOS[name], folder)
        )
        self._tried = self._kills = 0
        self._answers: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._failures: list[dict[str, str]] = []

    def run(self) -> dict[str, object]:
        began = time.monotonic()
        chosen = self._chosen()
        for points in chosen:
            self._tried += 1
            try:
                self._strike(points)
            except Exception:  # noqa: BLE001  (an oracle that cannot even open the home has spoken)
                self._note_failure(points)
            if len(self._failures) == _ENOUGH_FAILURES:
                break
        return {
            "scenario": self._name,
            "points": self.ground.points,
            "tried": self._tried,
            "kills": self._kills,
            "answers": self._answers,
            "calls": self._calls,
            "failures": self._failures,
            "seconds": round(time.monotonic() - began, 2),
        }

    def _strike(self, points: Sequence[Point]) -> None:
        if not _is_error(points[0][0]):
            self._kills += self.ground.kill_at(*points)
            return
        ran = self.ground.fail_at(points[0])
        if ran.failed or points[0][0] == "handles":
            self._answers[str(ran.error["code"]) if ran.error else "went on"] += 1
            self._calls[ran.first_failed.partition(" ")[0]] += 1

    def _note_failure(self, points: Sequence[Point]) -> None:
        again = ",".join(f"{kind},{number}" for kind, number in points)
        replay = f"{self._name} --only {again}"
        self._failures.append({"replay": replay, "says": traceback.format_exc()})

    def _chosen(self) -> list[list[Point]]:
        """Return the runs to make: each is one or more points, one after another."""
        options = self._options
        if options.only:
            parts = options.only.split(",")
            return [[(kind, int(n)) for kind, n in zip(parts[::2], parts[1::2], strict=True)]]
        dice = random.Random(options.seed)
        if options.kind == "handles":
            return [[("handles", n)] for n in range(1, _HANDLES + 1)]
        if options.kind:
            counter = "count-growth" if options.kind.startswith("ENOSPC") else "count"
            found = self.ground.count(counter)[counter]
            self.ground.points[options.kind] = found
            return [[(options.kind, n)] for n in _some(found, options.points, dice)]
        points = self.ground.points
        firsts: list[Point] = [("sql", n) for n in _some(points["sql"], options.points, dice)]
        for kind in sorted(points.keys() - {"sql"}):
            wanted = options.points if self._name in LIVE else None
            firsts += [(kind, n) for n in _some(points[kind], wanted, dice)]
        return [
            [first, *(("sql", dice.randint(1, points["sql"])) for _ in range(again))]
            for again in range(options.again + 1)
            for first in firsts
        ]


def _is_error(kind: str) -> bool:
    return kind == "handles" or (kind in KINDS and kind != "die")


def _some(count: int, wanted: int | None, dice: random.Random) -> Sequence[int]:
    every = range(1, count + 1)
    return every if wanted is None or wanted >= count else sorted(dice.sample(every, wanted))


def fast_folder() -> str | None:
    """Return a folder in memory: what a killed process wrote needs no disk to survive it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 64 << 20
    return str(memory) if roomy else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenario", nargs="+", choices=sorted({**SCENARIOS, **LIVE}))
    parser.add_argument("--kind", choices=[*sorted(KINDS), "handles"])
    parser.add_argument("--points", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--only")
    options = parser.parse_args()
    importlib.import_module("ulid")  # loaded at its first use, which is not what is tested here
    for name in options.scenario:
        with tempfile.TemporaryDirectory(prefix="sk-faults-", dir=fast_folder()) as folder:
            strikes = Strikes(name, Path(folder), options)
            with closing(strikes.ground):
                print(json.dumps(strikes.run()), flush=True)


if __name__ == "__main__":
    main()
