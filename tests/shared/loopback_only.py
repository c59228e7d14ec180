"""A plugin: no test, and no Python that a test starts, reaches another machine."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

_GUARD = Path(__file__).resolve().parents[1] / "guard"


def pytest_configure() -> None:
    """Guard this process, and by PYTHONPATH its children."""
    runpy.run_path(str(_GUARD / "sitecustomize.py"))
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(_GUARD) not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(_GUARD), *filter(None, known)])
