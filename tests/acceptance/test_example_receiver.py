"""The small receiver that docs/receiver-authors.md shows keeps the contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "receiver.py"
TOKEN = "example-canary"


@pytest.mark.parametrize(
    "profile", ["first-light", pytest.param("hardened", marks=pytest.mark.proof)]
)
def test_the_example_receiver_is_conformant(tmp_path: Path, profile: str) -> None:
    """With the published schemas and the standard library alone a receiver passes every MUST."""
    command = [sys.executable, EXAMPLE, ROOT / "schemas", tmp_path / "receiver.db", "0"]
    with subprocess.Popen(
        command, env={**os.environ, "RECEIVER_TOKEN": TOKEN}, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        url = process.stdout.readline().strip().removeprefix("listening on ")
        done = subprocess.run(
            [sys.executable, "-m", "spec_kitty_sync", "conformance", "receiver", url,
             "--profile", profile],
            env={**os.environ, "SK_TOKEN": TOKEN}, cwd=tmp_path,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        process.kill()
    assert done.returncode == 0, done.stdout
    assert f"verdict: conformant (profile {profile})" in done.stdout
    recipes = (ROOT / "docs" / "ci-recipes.md").read_text(encoding="utf-8")
    for report in re.findall(r"\.sk/(\w+\.\w+)", recipes):
        assert (tmp_path / ".sk" / report).is_file(), f"docs/ci-recipes.md names .sk/{report}"
