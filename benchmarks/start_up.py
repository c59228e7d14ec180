"""What a command costs before it works: wall time and memory beside a Python with the same basics.

The floor is a Python that imports click, sqlite3 and json. Times are medians of pairs measured in
turn; memory is the most that was resident (VmHWM, Linux only). Each command is started as its
console script does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import Figure, in_turn, report, seconds

from spec_kitty_sync._files import shared_path

_FLOOR = "import click, sqlite3, json"
_COMMAND = "from spec_kitty_sync.cli.main import run; run()"
_WITH_MEMORY = """
import sys
code = sys.argv.pop(1)
try:
    exec(code)
except SystemExit:
    pass
with open("/proc/self/status") as status:
    sys.stderr.write(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""
_CREATED = b'{"wp_id": "WP01", "title": "One", "dependencies": [], "feature_slug": "001-demo"}'
_STATUS = ("sync", "status")
# name, arguments, home, times the floor at most, MiB at most
_CASES = (
    ("spec-kitty --version", ("--version",), "new", 1.7, 25.0),
    ("spec-kitty --help", ("--help",), "new", 1.7, 25.0),
    ("sync status", _STATUS, "new", 2.3, 30.0),
    ("sync status beside old queues", _STATUS, "legacy", None, 30.0),
    ("emit, the whole command", ("emit", "WPCreated", "--json", "-"), "new", None, None),
)


def _start(code: str, arguments: tuple[str, ...], home: Path) -> bytes:
    """Run *code* in a new Python and return its standard error.

    Bytecode is kept, as an installation keeps it: the first run writes it.
    """
    environ = {**os.environ, "SPEC_KITTY_HOME": str(home)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=home.parent,
        env=environ,
        input=_CREATED,
        capture_output=True,
        check=True,
    )
    return done.stderr


def _mebibytes(code: str, arguments: tuple[str, ...], home: Path) -> float:
    told = _start(_WITH_MEMORY, (code, *arguments), home)
    return int(told.split()[-1]) / 1024


def _figures(home: Path, runs: int) -> list[Figure]:
    figures = []
    floor_mib = _mebibytes(_FLOOR, (), home / "new")
    for name, arguments, which, times, memory in _CASES:
        place = home / which

        def ours(arguments: tuple[str, ...] = arguments, place: Path = place) -> float:
            return seconds(lambda: _start(_COMMAND, arguments, place)) * 1000

        def floor(place: Path = place) -> float:
            return seconds(lambda: _start(_FLOOR, (), place)) * 1000

        mine, plain, ratio = in_turn(ours, floor, runs)
        figures.append(Figure(name, mine, "ms", plain, ratio, at_most=times))
        most = _mebibytes(_COMMAND, arguments, place)
        figures.append(Figure("  memory", most, "MiB", floor_mib, at_most=memory))
    return figures


def main() -> None:
    """Measure each command in a home with one event, and status in one with old queues too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="start-up-") as scratch:
        (Path(scratch) / ".kittify").mkdir()
        homes = [Path(scratch) / name for name in ("new", "legacy")]
        for home in homes:
            _start(_COMMAND, ("emit", "WPCreated", "--json", "-"), home)
        queues = shared_path("fixtures", "queues", "natural-2.1.3", "queues")
        shutil.copytree(queues, homes[1] / "queues")
        report("start_up", args, _figures(Path(scratch), args.runs))


if __name__ == "__main__":
    main()
