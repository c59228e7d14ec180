"""Judging events: dicts in memory, and a JSON Lines file from its bytes to its report.

Prints JSON with events per second, and the peak memory of the whole command for a short and a
long file: the difference is what an event costs. Floor: two pydantic models on the same dicts, and
`json.loads` before them for the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import floors
from figures import Figure, in_turn, report, seconds
from sample_events import make_event

from spec_kitty_sync.diagnose import Diagnosis, Report, Rules
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.diagnose_sources import named_sources

_PEAK = """
import resource, sys
from spec_kitty_sync.cli.main import run
try:
    run(["diagnose", sys.argv[1], "--jsonl", "--only", "invalid"])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def write_file(path: Path, count: int, *, invalid_every: int = 0) -> Path:
    """Write *count* events as JSON Lines; every so many break two rules."""
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            event = make_event(number)
            if invalid_every and number % invalid_every == 0:
                event.update(event_id="nope", lamport_clock=-1)
            stream.write(json.dumps(event) + "\n")
    return path


def judge_file(path: Path) -> Report:
    """Judge the file at *path* as the command does."""
    validator = Rules().validator(default_registry())
    diagnosis = Diagnosis(named_sources([path]), validator.validate)
    for _ in diagnosis.results():
        pass
    return diagnosis.report()


def judge_lines(path: Path) -> None:
    """Judge the file as the floor does."""
    with path.open("rb") as stream:
        floors.judge(json.loads(line) for line in stream)


def judge_dicts(events: Iterable[object]) -> None:
    """Judge events that are parsed already."""
    validate = Rules().validator(default_registry()).validate_parsed
    for event in events:
        validate(event)


def peak_mib(path: Path) -> float:
    """Return the peak resident memory of `spec-kitty diagnose` on *path*."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=False
    )
    return round(int(done.stderr.split()[-1]) / 1024, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--long", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    events = [make_event(number) for number in range(args.n)]
    with tempfile.TemporaryDirectory() as scratch:
        valid = write_file(Path(scratch) / "valid.jsonl", args.n)
        mixed = write_file(Path(scratch) / "mixed.jsonl", args.n, invalid_every=10)
        assert judge_file(valid).summary.valid == args.n
        assert judge_file(mixed).summary.invalid == -(-args.n // 10)
        dicts = in_turn(
            lambda: args.n / seconds(lambda: judge_dicts(events)),
            lambda: args.n / seconds(lambda: floors.judge(events)),
            args.runs,
        )
        lines = in_turn(
            lambda: args.n / seconds(lambda: judge_file(valid)),
            lambda: args.n / seconds(lambda: judge_lines(valid)),
            args.runs,
        )
        short_mib = peak_mib(mixed)
        long = write_file(Path(scratch) / "long.jsonl", args.long, invalid_every=10)
        long_mib = peak_mib(long)
    figures = [
        Figure("diagnose, dicts in memory", dicts[0], "/s", *dicts[1:], at_least=0.7),
        Figure("diagnose from JSONL bytes", lines[0], "/s", *lines[1:], at_least=0.7),
        Figure(f"  peak memory, {args.long:,} events", long_mib, "MiB", at_most=short_mib + 2),
    ]
    report("diagnose_events", args, figures, peak_short_mib=short_mib)


if __name__ == "__main__":
    main()
