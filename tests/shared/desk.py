"""An operator's desk: a home with events in it, and the command line in this process."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from canary import holds_canary
from small_receiver import SmallReceiver

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.cli.main import run as cli_run
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

PROJECT = "550e8400-e29b-41d4-a716-446655440000"


def event_id(number: int) -> str:
    return f"01KA{number:022d}"


def make_event(number: int, **changes: Any) -> dict[str, Any]:
    """Return a valid event; None takes a field away."""
    event = {
        "event_id": event_id(number),
        "event_type": "HistoryAdded",
        "aggregate_id": "WP01",
        "aggregate_type": "WorkPackage",
        "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": f"note {number}"},
        "timestamp": "2026-02-12T10:00:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": number,
        "correlation_id": event_id(0),
        "project_uuid": PROJECT,
        "data_tier": 1,
        **changes,
    }
    return {key: value for key, value in event.items() if value is not None}


@dataclass(frozen=True)
class Ran:
    """What one command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Desk:
    """A home and the commands that are run in it."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    def run(self, *args: str, **environ: str) -> Ran:
        """Run `spec-kitty ARGS` in this process."""
        variables = {"SPEC_KITTY_HOME": str(self.home.root), **self.environ, **environ}
        out, err = io.StringIO(), io.StringIO()
        with patch.dict(os.environ, variables), redirect_stdout(out), redirect_stderr(err):
            try:
                cli_run(list(args))
            except SystemExit as exc:
                code = exc.code
        assert isinstance(code, int)
        assert not holds_canary((out.getvalue() + err.getvalue()).encode()), args
        return Ran(code, out.getvalue(), err.getvalue())

    def json(self, *args: str, code: int | None = 0, **environ: str) -> Any:
        """Run with `--json`, expect exit *code*, return the object."""
        done = self.run(*args, "--json", **environ)
        assert code is None or done.code == code, done
        return done.json

    def put(self, *events: dict[str, Any]) -> None:
        """Append events as an import does: held ones too."""
        registry = default_registry()
        with open_home(self.home) as store:
            journal = SqliteJournal(store, clock=SystemClock())
            journal.append_many(
                admit(json.dumps(event).encode(), registry=registry) for event in events
            )

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement on the journal behind everybody's back."""
        with closing(sqlite3.connect(self.home.journal_db)) as conn, conn:
            return conn.execute(statement, values).fetchall()


@contextmanager
def drain_on_the_wire(
    desk: Desk, server: SmallReceiver, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process wait for an answer of *server*, which gives none; it is killed at the end."""
    server.arrived.clear()
    server.go_on.clear()
    process = subprocess.Popen(
        [sys.executable, "-m", "spec_kitty_sync", "sync", "now", *options],
        env={**os.environ, "SPEC_KITTY_HOME": str(desk.home.root), **desk.environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert server.arrived.wait(120)
        yield process
    finally:
        process.kill()
        process.wait()
