"""The command line as an operator runs it: a process, a home, a project folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canary import CANARY
from legacy_homes import extract

TOKEN = f"acceptance-{CANARY}"


@dataclass
class Operator:
    """Somebody at a terminal."""

    home: Path
    project: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *args: str, stdin: str | None = None, **environ: str) -> Any:
        """Run `spec-kitty ARGS` to its end."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPEC_KITTY_", "SK_"))}
        return subprocess.run(
            [sys.executable, "-m", "spec_kitty_sync", *args],
            cwd=self.project,
            env={**clean, "SPEC_KITTY_HOME": str(self.home), **self.environ, **environ},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *args: str, code: int | None = 0, **environ: str) -> Any:
        """Run `spec-kitty ARGS --json`, expect exit *code*, return the object."""
        done = self.run(*args, "--json", **environ)
        assert code is None or done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def unpack(self, case: str) -> None:
        """Fill the home with a copy of a real one."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        extract(case, self.home)
        inner = self.home / ".spec-kitty"
        if inner.is_dir():
            for entry in inner.iterdir():
                shutil.move(str(entry), self.home / entry.name)
            inner.rmdir()


@dataclass
class Receiver:
    """A running reference receiver."""

    url: str
    process: subprocess.Popen[str]
    database: Path
