"""Runs one scenario over and over, each time in a forked child that dies at another point.

A point is ("sql", n): at the n-th statement that any connection of the child begins; or
("wire", n): at the n-th of before / sent / told of its batches. Product code knows nothing of it:
in the child `sqlite3.connect` gives connections with a trace callback.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_stage import Scenario, Stage
from oracle import examine

from spec_kitty_sync.errors import SpecKittyError

Point = tuple[str, int]
_CONNECT = sqlite3.connect


@dataclass
class Fuse:
    """Counts points of each kind; at one of them the process ends."""

    ends_at: Point | None = None
    burnt: Counter[str] = field(default_factory=Counter)

    def burn(self, kind: str) -> None:
        self.burnt[kind] += 1
        if (kind, self.burnt[kind]) == self.ends_at:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # for whichever thread is not the first to hear of it

    def connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        conn = _CONNECT(*args, **options)
        conn.set_trace_callback(lambda statement: self.burn("sql"))
        return conn


@dataclass
class Ran:
    """What a child said, and how it ended."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    killed: bool = False

    def hear(self, line: bytes) -> None:
        said = json.loads(line)
        if "ack" in said:
            self.acknowledged[said["ack"]] = base64.b64decode(said["body"])
        self.points = said.get("points", self.points)
        self.error = said.get("error", self.error)


class Ground:
    """One scenario's starting state, and as many runs from it as wanted.

    Always at the same path, so that what a home remembers of paths is the same each time.
    """

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._scenario = scenario
        self._template = folder / "template"
        self.stage = Stage(folder / "stage")
        (self.stage.project / ".kittify").mkdir(parents=True)
        self.before = self._in_child(scenario.prepare, None)
        assert self.before.error is None, self.before.error
        self.stage.folder.rename(self._template)
        self._fresh()
        unharmed = self._in_child(scenario.run, None)
        assert unharmed.error is None, unharmed.error
        self.points = unharmed.points
        self._expected = scenario.outcome(self.stage) if scenario.outcome else None

    def kill_at(self, *points: Point) -> int:
        """Run and die at the first point, run on from there and die at the next, …; then judge.

        Return how many of the runs died. A run that ends before its point counts as none.

        Raises:
            AssertionError: the home broke a promise.
        """
        self._fresh()
        acknowledged, died = dict(self.before.acknowledged), 0
        for point in points:
            ran = self._in_child(self._scenario.run, point)
            assert ran.error is None, ran.error
            acknowledged |= ran.acknowledged
            died += ran.killed
        self._judge(acknowledged)
        return died

    def _judge(self, acknowledged: dict[str, bytes]) -> None:
        self._scenario.check(self.stage)
        if self._scenario.outcome is not None:
            self._scenario.run(self.stage)
            assert self._scenario.outcome(self.stage) == self._expected, "did not go on to its end"
            self._scenario.check(self.stage)
        examine(self.stage.home, acknowledged, self.stage.wire())

    def _fresh(self) -> None:
        shutil.rmtree(self.stage.folder, ignore_errors=True)
        shutil.copytree(self._template, self.stage.folder)

    def _in_child(self, task: Callable[[Stage], object], ends_at: Point | None) -> Ran:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _be_the_child(self.stage.folder, task, Fuse(ends_at), writer)
        os.close(writer)
        ran = Ran()
        with os.fdopen(reader, "rb") as said:
            for line in said:
                ran.hear(line)
        _, status = os.waitpid(child, 0)
        ran.killed = os.WIFSIGNALED(status)
        return ran


def _be_the_child(folder: Path, task: Callable[[Stage], object], fuse: Fuse, writer: int) -> None:
    def say(message: dict[str, object]) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    code = 1
    try:
        sqlite3.connect = fuse.connect  # type: ignore[assignment]
        try:
            task(Stage(folder, say, lambda where: fuse.burn("wire")))
        except SpecKittyError as exc:
            facts = {"code": exc.code, "message": exc.message, "remedy": exc.remedy}
            say({"error": {**facts, "exit_code": exc.exit_code}})
        say({"points": dict(fuse.burnt)})
        code = 0
    except BaseException:  # noqa: BLE001  (whatever it is, the parent has to hear of it)
        say({"error": {"crash": traceback.format_exc()}})
    finally:
        sys.stdout.flush()
        os._exit(code)
