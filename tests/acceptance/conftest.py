"""An operator with a home and a project, and a receiver to deliver to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import installing
import pytest
from terminal import TOKEN, Operator, Receiver


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    project = tmp_path / "project"
    (project / ".kittify").mkdir(parents=True)
    return Operator(tmp_path / "home", project)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    database = tmp_path / "receiver.db"
    process = subprocess.Popen(
        [sys.executable, "-m", "spec_kitty_sync", "receiver", "serve", "--port", "0",
         "--token-env", "RECEIVER_TOKEN", "--database", str(database)],
        env={**os.environ, "RECEIVER_TOKEN": TOKEN},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line.startswith("listening on http://"), line
    yield Receiver(line.removeprefix("listening on "), process, database)
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with wheel and sdist, built once."""
    out = tmp_path_factory.mktemp("dist")
    installing.build(out)
    yield out
    # The sdist holds the tests, and with them the canary that no test may leave behind.
    shutil.rmtree(out)
