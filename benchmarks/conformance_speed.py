"""How long the receiver suite takes against the reference receiver on this machine.

Prints JSON: wall seconds of `spec-kitty conformance receiver URL`, the command as authors run it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from figures import Figure, report, seconds
from receiver_ingest import own_database, start

_KIT = [sys.executable, "-m", "spec_kitty_sync", "conformance", "receiver"]


def wall_s(url: str, profile: str) -> float:
    """Return the seconds of one whole run; it has to end conformant."""
    with tempfile.TemporaryDirectory() as folder:

        def run() -> None:
            subprocess.run(
                [*_KIT, url, "--profile", profile],
                cwd=folder,
                env={**os.environ, "SPEC_KITTY_HOME": folder},
                stdout=subprocess.DEVNULL,
                check=True,
            )

        return seconds(run)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    took: dict[str, float] = {}
    with own_database("sqlite") as database:
        process, port = start(database, 1)
        try:
            for profile in ("first-light", "core"):
                runs = [wall_s(f"http://127.0.0.1:{port}", profile) for _ in range(args.runs)]
                took[profile] = statistics.median(runs)
        finally:
            process.terminate()
            process.wait(20)
    figures = [
        Figure("receiver suite, first-light", took["first-light"], "s", at_most=2),
        Figure("receiver suite, core", took["core"], "s", at_most=15),
    ]
    report("conformance_speed", args, figures)


if __name__ == "__main__":
    main()
