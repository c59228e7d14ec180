"""What was built, installed without the clone: a virtualenv, and a user who works in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import pytest
from terminal import TOKEN

ROOT = Path(__file__).resolve().parents[2]
PYENV = Path(os.environ.get("PYENV_ROOT") or Path("~/.pyenv").expanduser())
CREATED = '{"wp_id": "WP01", "title": "One", "dependencies": [], "feature_slug": "001-demo"}'
_LIVE = """
import os
from pathlib import Path
from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.runtime import SyncRuntime
settings = Settings(Home.resolve(os.environ), dict(os.environ), Path.cwd())
with open_emitter(settings) as emitter:
    runtime = SyncRuntime(settings=settings)
    runtime.attach_emitter(emitter)
    print("live" if runtime.keep_live() else "not live")
    runtime.stop()
"""


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the environment without the clone and without anything of ours."""
    dropped = ("PYTEST", "SK_", "SPEC_KITTY", "PYTHONPATH", "COV_", "VIRTUAL_ENV")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {**kept, **extra}


def build(out: Path) -> None:
    """Write the sdist, and the wheel that comes from the sdist, to *out*."""
    _quietly(sys.executable, "-m", "build", "--outdir", str(out), str(ROOT))


def find_python(version: str) -> str:
    """Return an interpreter of *version*, like "3.12"; skip the test where there is none."""
    found = [sys.executable, shutil.which(f"python{version}")]
    found += glob(str(PYENV / "versions" / f"{version}.*" / "bin" / "python"))
    ask = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for each in filter(None, found):
        done = subprocess.run([each, "-c", ask], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return each
    pytest.skip(f"missing tool: python{version}")


@dataclass
class Installed:
    """A virtualenv with what was built, and the folder of somebody who uses it."""

    bin: Path
    folder: Path

    @property
    def shared(self) -> Path:
        """The schemas, suites and fixtures that were installed."""
        return next(self.bin.parent.glob("lib/python*/site-packages/spec_kitty_sync/_shared"))

    def environment(self, **extra: str) -> dict[str, str]:
        return clean_environment(
            HOME=str(self.folder), SPEC_KITTY_HOME=str(self.folder / "home"),
            SK_TOKEN=TOKEN, **extra,
        )  # fmt: skip

    def run(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the virtualenv's program `args[0]` in a project of the user, to its end."""
        project = self.folder / "project"
        (project / ".kittify").mkdir(parents=True, exist_ok=True)
        return subprocess.run(
            [self.bin / args[0], *args[1:]], cwd=project, env=self.environment(),
            input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def kitty(self, *args: str, stdin: str | None = None, code: int = 0) -> str:
        """Run `spec-kitty ARGS`, expect exit *code* and no traceback; return what it printed."""
        done = self.run("spec-kitty", *args, stdin=stdin)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def serving(self, *options: str) -> Iterator[str]:
        """Run the virtualenv's own receiver while the block runs; yield its address."""
        process = subprocess.Popen(
            [self.bin / "spec-kitty", "receiver", "serve", "--port", "0",
             "--token-env", "SK_TOKEN", *options],
            env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("listening on "), process.communicate()[1]
            yield line.removeprefix("listening on ").strip()
        finally:
            process.terminate()
            process.communicate()


def install(dist: Path, folder: Path, *, extras: str = "", python: str = sys.executable,
            pins: Sequence[str] = ()) -> Installed:  # fmt: skip
    """Install *dist* with *extras* into a new virtualenv below *folder*."""
    _quietly(python, "-m", "venv", "--without-pip", str(folder / "venv"))
    own = folder / "venv" / "bin"
    wanted = f"{dist}[{extras}]" if extras else str(dist)
    pip = [sys.executable, "-m", "pip", "--python", str(own / "python")]
    _quietly(
        *pip, "install", "--quiet", "--no-compile", "--disable-pip-version-check", wanted, *pins
    )
    (folder / "user").mkdir()
    return Installed(own, folder / "user")


def lowest(metadata: str) -> list[str]:
    """Return a pin to the lowest declared version for each direct dependency."""
    lines = re.findall(r"^Requires-Dist: ([^;\n]+)", metadata, re.MULTILINE)
    return sorted({line.replace(">=", "==").strip() for line in lines})


def use_runtime(user: Installed, url: str) -> None:
    """Emit, import an old queue, deliver both, look: what a user without any extra can do."""
    user.kitty("emit", "WPCreated", "--json", "-", stdin=CREATED)
    old = user.shared / "fixtures" / "queues" / "natural-2.1.3" / "queues"
    shutil.copytree(old, user.folder / "home" / "queues")
    user.kitty("diagnose")
    user.kitty("sync", "migrate")
    user.kitty("sync", "server", url, "--token-env", "SK_TOKEN")
    user.kitty("sync", "now")
    status: dict[str, Any] = json.loads(user.kitty("sync", "status", "--json"))
    assert status["event_journal"]["retained_event_count"] > 1
    assert status["delivery_ledger"]["delivered_current_target"] > 1


def use_kit(user: Installed, url: str) -> None:
    """Judge a receiver and a producer, from the packaged suites."""
    first = user.kitty("conformance", "receiver", url, "--profile", "first-light")
    assert "verdict: conformant" in first
    second = user.run("spec-kitty", "conformance", "producer", "spec-kitty", "--only", "SKP-RES-05")
    assert "1 passed" in second.stdout


def use_live(user: Installed) -> str:
    """Return "live" if a live session with the user's server can be had, else "not live"."""
    return user.run("python", "-c", _LIVE).stdout.strip()


def _quietly(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
