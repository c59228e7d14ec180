"""What every benchmark prints: figures beside their floor and their target, as one JSON object."""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of the table. `ratio` is the median of the pairs, not ours ÷ floor of the medians.

    `at_least` or `at_most` is the target for `ratio` where there is one, else for `ours`.
    """

    name: str
    ours: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; nothing where none is set."""
        measured = self.ours if self.ratio is None else self.ratio
        if self.at_least is not None:
            return measured >= self.at_least
        return None if self.at_most is None else measured <= self.at_most


def in_turn(
    ours: Callable[[], float], floor: Callable[[], float], runs: int
) -> tuple[float, float, float]:
    """Measure both sides alternately; return the medians of ours, floor and their ratio."""
    pairs = [(floor(), ours()) for _ in range(runs)]
    ratio = statistics.median(mine / plain for plain, mine in pairs)
    mine = statistics.median(pair[1] for pair in pairs)
    return mine, statistics.median(pair[0] for pair in pairs), ratio


def seconds(action: Callable[[], object]) -> float:
    """Return how long *action* takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def report(bench: str, args: argparse.Namespace, figures: Sequence[Figure], **detail: Any) -> None:
    """Print the figures of one benchmark with what they depend on."""
    rows = [{**asdict(each), "is_met": each.is_met} for each in figures]
    json.dump(
        {
            "bench": bench,
            "args": vars(args),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "figures": rows,
            **detail,
        },
        sys.stdout,
        indent=1,
    )
    sys.stdout.write("\n")
