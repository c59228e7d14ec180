"""Starts `fault_program.py` and reads what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("fault_program.py")


def run_faults(*arguments: str, environ: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return what was found of each scenario; fail with what to run to see a failure again."""
    path = os.pathsep.join(filter(None, sys.path))
    ran = subprocess.run(
        [sys.executable, str(_PROGRAM), *arguments],
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **(environ or {})},
    )
    assert ran.returncode == 0, ran.stderr
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    said = [
        f"python {_PROGRAM} {failure['replay']}\n{failure['says']}"
        for each in found
        for failure in each["failures"]
    ]
    assert not said, "\n".join(said)
    return found
