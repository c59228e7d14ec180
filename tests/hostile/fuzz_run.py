"""Fuzzes one target by coverage: `python tests/hostile/fuzz_run.py TARGET SECONDS`.

A finding is left in the current folder as `crash-…`; what is kept goes to `fixtures/fuzz/TARGET-…`.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["spec_kitty_sync"]):
    from fuzz_targets import TARGETS


def main() -> None:
    """Run until the seconds are over or something is found."""
    name, seconds = sys.argv[1], sys.argv[2]
    target, seeds = TARGETS[name], Path("seeds")
    seeds.mkdir(exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (seeds / str(number)).write_bytes(data)
    logging.disable()  # damaged files are reported, thousands of times here
    options = [f"-max_total_time={seconds}", "-timeout=10", "-max_len=8192", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", str(seeds)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
