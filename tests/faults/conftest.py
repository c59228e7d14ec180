"""What the fault tests share: old queues, and a place for the figures of the last run."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# The packed homes of older versions are the migration tests'.
sys.path.insert(0, str(Path(__file__).parents[1] / "sync"))

pytest.register_assert_rewrite("oracle")

Figure = Callable[..., None]


@pytest.fixture(scope="session")
def figures_folder() -> Path | None:
    """Where `SK_FAULT_FIGURES` wants the figures; read before any test clears the environment."""
    folder = os.environ.get("SK_FAULT_FIGURES")
    if not folder:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.fixture
def figure(request: pytest.FixtureRequest, figures_folder: Path | None) -> Figure:
    """Write down what this test did: `figure("kill", points=59, kills=59, losses=0)`.

    One JSON line in a file of the test's own: promise, test, says (the docstring), seconds and
    the counts.
    """
    began = time.monotonic()

    def write(promise: str, **counts: int) -> None:
        line = {
            "promise": promise,
            "test": request.node.nodeid,
            "says": (request.function.__doc__ or "").strip().split("\n")[0],
            "whole": request.node.get_closest_marker("proof") is not None,
            "seconds": round(time.monotonic() - began, 2),
            **counts,
        }
        print(json.dumps(line))
        if figures_folder is not None:
            name = re.sub(r"\W+", "-", request.node.nodeid)
            with (figures_folder / f"{name}.jsonl").open("w") as out:
                out.write(json.dumps(line) + "\n")

    return write
