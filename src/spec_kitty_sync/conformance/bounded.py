"""Starts a command with little room, or measures how much it takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_LIMIT: Final = """
import os, resource, sys
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.execvp(sys.argv[2], sys.argv[2:])
"""
_MEASURE: Final = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(sys.argv[1], "w") as file:
    file.write(str(peak if sys.platform == "darwin" else peak * 1024))
sys.exit(code)
"""


def no_file_above(limit_bytes: int) -> tuple[str, ...]:
    """Return what starts a command whose files cannot grow above that: as on a full disk.

    Python would keep the bytecode of what it imports cut off there, and fail to import it ever
    after; so it keeps none.
    """
    return (sys.executable, "-S", "-c", _LIMIT, str(limit_bytes))


def measured(report: Path) -> tuple[str, ...]:
    """Return what starts a command and writes to *report* how much memory it took at most."""
    return (sys.executable, "-S", "-c", _MEASURE, str(report))


def peak_bytes(report: Path) -> int:
    """Return the peak that a measured command left in *report*."""
    return int(report.read_text(encoding="ascii"))
