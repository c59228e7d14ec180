"""Run as a program: kill a scenario at its points and print one JSON object for each.

usage: fault_program.py SCENARIO… [--points N] [--seed S] [--only KIND,N[,KIND,N…]]

Without --points it is every point there is; otherwise N of them, the same for the same seed, and
always every point on the wire. A process of its own: a fork must not copy a test runner's threads.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
import traceback
from pathlib import Path

from fault_ground import Ground, Point
from fault_scenarios import DELIVERING
from fault_scenarios_keeping import KEEPING

SCENARIOS = {**DELIVERING, **KEEPING}


def main() -> None:
    options = _options()
    for name in options.scenario:
        with tempfile.TemporaryDirectory(prefix="sk-faults-", dir=_fast_folder()) as folder:
            print(json.dumps(strike(name, Path(folder), options)), flush=True)


def strike(name: str, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    began = time.monotonic()
    ground = Ground(SCENARIOS[name], folder)
    failures, kills = [], 0
    chosen = _chosen(ground.points, options)
    for points in chosen:
        try:
            kills += ground.kill_at(*points)
        except Exception:  # noqa: BLE001  (an oracle that cannot even open the home has spoken)
            again = ",".join(f"{kind},{number}" for kind, number in points)
            failures.append({"replay": f"{name} --only {again}", "says": traceback.format_exc()})
            if len(failures) == 3:
                break
    return {
        "scenario": name,
        "points": ground.points,
        "tried": len(chosen),
        "kills": kills,
        "failures": failures,
        "seconds": round(time.monotonic() - began, 2),
    }


def _chosen(points: dict[str, int], options: argparse.Namespace) -> list[list[Point]]:
    """Return the runs to make: each is one or more points to die at, one after another."""
    if options.only:
        parts = options.only.split(",")
        return [[(kind, int(n)) for kind, n in zip(parts[::2], parts[1::2], strict=True)]]
    dice = random.Random(options.seed)
    sql = range(1, points.get("sql", 0) + 1)
    if options.points is not None and options.points < len(sql):
        sql = sorted(dice.sample(sql, options.points))
    firsts: list[Point] = [("sql", n) for n in sql]
    firsts += [("wire", n) for n in range(1, points.get("wire", 0) + 1)]
    return [
        [first, *(("sql", dice.choice(range(1, points["sql"] + 1))) for _ in range(again))]
        for again in range(options.again + 1)
        for first in firsts
    ]


def _fast_folder() -> str | None:
    """Return a folder in memory: what a killed process wrote needs no disk to survive it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 64 << 20
    return str(memory) if roomy else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenario", nargs="+", choices=sorted(SCENARIOS))
    parser.add_argument("--points", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=int, default=0)
    parser.add_argument("--only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
