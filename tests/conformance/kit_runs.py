"""Ways to run the kit as its users do: in a process of its own, from a folder of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_receiver import TOKEN

SOURCE = Path(__file__).resolve().parents[2] / "src"
RunKit = Callable[..., subprocess.CompletedProcess[str]]


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the environment without anything that steers pytest or the kit."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "SK_", "SPEC_KITTY_", "COV_"))
    }
    return {**kept, "PYTHONPATH": str(SOURCE), "COLUMNS": "100", **extra}


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunKit:
    """Return a function that runs pytest in an empty folder with the kit's plugin."""

    def run(*arguments: str, token: str | None = TOKEN, cwd: Path = tmp_path) -> object:
        extra = {"SK_TOKEN": token} if token else {}
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "spec_kitty_sync.conformance.plugin",
                *arguments,
            ],
            cwd=cwd,
            env=clean_environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **extra),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run  # type: ignore[return-value]


@pytest.fixture
def run_command(tmp_path: Path) -> RunKit:
    """Return a function that runs `spec-kitty conformance …` in an empty folder."""

    def run(*arguments: str, token: str | None = TOKEN, cwd: Path = tmp_path) -> object:
        extra = {"SK_TOKEN": token} if token else {}
        return subprocess.run(
            [sys.executable, "-m", "spec_kitty_sync", "conformance", *arguments],
            cwd=cwd,
            env=clean_environment(**extra),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run  # type: ignore[return-value]
