"""Runs one scenario over and over, each time in a forked child that is hurt at another point.

A point is a kind and a number:

    sql    killed at the n-th statement that any connection of the child begins
    wire   killed at the n-th of: before a batch is sent, when it has arrived, when it is answered;
           where there is a socket: before and after each write, and after each read
    cut    at the n-th read of a socket the answer is there, but nobody hears it: the wire is cut
    die    killed before the n-th call that changes something on the disk
    EIO …  that call fails (see `failing_disk.KINDS`)
    handles  only n - 1 more files may be open at a time

Product code knows nothing of it: in the child `sqlite3.connect` gives connections with a trace
callback, and the calls are those of the preloaded `failing_disk.c`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from failing_disk import FailingDisk
from fault_stage import Scenario, Stage
from oracle import examine

from spec_kitty_sync.errors import SpecKittyError

Point = tuple[str, int]
IN_PROCESS = ("sql", "wire", "cut")
_WAYS_OUT = {
    "EIO": "Append the same event again|Check the disk|See that the disk works|sync show",
    "ENOSPC": "[Ff]ree (disk|some) space|making room|has room|sync show",
    "handles": "ulimit -n",
}
_CONNECT = sqlite3.connect
_DIAL = socket.create_connection


@dataclass
class Fuse:
    """Counts points of each kind; at one of them the process ends."""

    ends_at: Point | None = None
    burnt: Counter[str] = field(default_factory=Counter)

    def reaches(self, kind: str) -> bool:
        """Count a point and say whether it is the one."""
        self.burnt[kind] += 1
        return (kind, self.burnt[kind]) == self.ends_at

    def burn(self, kind: str) -> None:
        if self.reaches(kind):
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()  # for whichever thread is not the first to hear of it

    def connect(self, *args: Any, **options: Any) -> sqlite3.Connection:
        conn = _CONNECT(*args, **options)
        conn.set_trace_callback(lambda statement: self.burn("sql"))
        return conn

    def dial(self, *args: Any, **options: Any) -> socket.socket:
        return _TappedSocket(_DIAL(*args, **options), self)


class _TappedSocket(socket.socket):
    """A connection with points on both sides of each write, and behind each read."""

    def __init__(self, plain: socket.socket, fuse: Fuse) -> None:
        timeout = plain.gettimeout()
        super().__init__(fileno=plain.detach())
        self.settimeout(timeout)
        self._fuse = fuse

    def send(self, *args: Any) -> int:
        self._fuse.burn("wire")
        written = super().send(*args)
        self._fuse.burn("wire")
        return written

    def sendall(self, *args: Any) -> None:
        self._fuse.burn("wire")
        super().sendall(*args)
        self._fuse.burn("wire")

    def recv(self, *args: Any) -> bytes:
        data = super().recv(*args)
        if data:
            self._fuse.burn("wire")
            if self._fuse.reaches("cut"):
                self.shutdown(socket.SHUT_RDWR)
                return b""
        return data


@dataclass
class Ran:
    """What a child said, and how it ended. `failed`: how many calls failed, and the first."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    failed: int = 0
    first_failed: str = ""
    killed: bool = False

    def hear(self, line: bytes) -> None:
        said = json.loads(line)
        if "ack" in said:
            self.acknowledged[said["ack"]] = base64.b64decode(said["body"])
        for name in said.keys() & {"points", "error", "failed", "first_failed"}:
            setattr(self, name, said[name])


class Ground:
    """One scenario's starting state, and as many runs from it as wanted.

    Always at the same path, so that what a home remembers of paths is the same each time.
    """

    def __init__(self, scenario: Scenario, folder: Path, stage: Stage | None = None) -> None:
        self._scenario = scenario
        self._template = folder / "template"
        self.stage = stage or Stage(folder / "stage")
        (self.stage.project / ".kittify").mkdir(parents=True)
        self.before = self._in_child(scenario.prepare)
        assert self.before.error is None, self.before.error
        self.stage.folder.rename(self._template)
        self.points = self.count()
        self._expected = scenario.outcome(self.stage) if scenario.outcome else None

    def close(self) -> None:
        """End what runs beside it."""

    def count(self, kind: str | None = None) -> dict[str, int]:
        """Run unharmed and return how many points there are of each kind of the process, or of
        *kind* (`count`, `count-growth`) of the disk."""
        self._fresh()
        ran = self._in_child(self._scenario.run, (kind, 2**31) if kind else None)
        assert ran.error is None, ran.error
        return ran.points

    def kill_at(self, *points: Point) -> int:
        """Run and die at the first point, run on from there and die at the next, …; then judge.

        Return how many of the runs were hurt. A run that ends before its point counts as none.

        Raises:
            AssertionError: the home broke a promise.
        """
        self._fresh()
        acknowledged, hurt = dict(self.before.acknowledged), 0
        for point in points:
            hurt += self._strike(point, acknowledged)
        self._judge(acknowledged)
        return hurt

    def _strike(self, point: Point, acknowledged: dict[str, bytes]) -> bool:
        """Run once, add what was acknowledged, and say whether the run came to *point*."""
        ran = self._in_child(self._scenario.run, point)
        assert ran.error is None, ran.error
        acknowledged |= ran.acknowledged
        return ran.killed or ran.points.get(point[0], 0) >= point[1] > 0

    def fail_at(self, point: Point) -> Ran:
        """Run while the disk fails; then judge, on a disk that is well again.

        Raises:
            AssertionError: the home broke a promise, or the error said nothing useful.
        """
        self._fresh()
        ran = self._in_child(self._scenario.run, point)
        if ran.error is not None:
            assert "crash" not in ran.error, f"{ran.first_failed}\n{ran.error['crash']}"
            assert ran.error["exit_code"] == 2, f"{ran.first_failed}: {ran.error}"
            way_out = _WAYS_OUT[point[0].removesuffix("-stays")]
            assert re.search(way_out, ran.error["remedy"]), f"{ran.first_failed}: {ran.error}"
        self._judge(self.before.acknowledged | ran.acknowledged)
        return ran

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

    def _in_child(self, task: Callable[[Stage], object], point: Point | None = None) -> Ran:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _be_the_child(self.stage, task, point, writer)
        os.close(writer)
        ran = Ran()
        with os.fdopen(reader, "rb") as said:
            for line in said:
                ran.hear(line)
        _, status = os.waitpid(child, 0)
        ran.killed = os.WIFSIGNALED(status)
        return ran


def _be_the_child(
    stage: Stage, task: Callable[[Stage], object], point: Point | None, writer: int
) -> None:
    def say(message: dict[str, object]) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    with suppress(BaseException):
        fuse = Fuse(point)
        sqlite3.connect = fuse.connect  # type: ignore[assignment]
        socket.create_connection = fuse.dial  # type: ignore[assignment]
        stage = replace(stage, say=say, hook=lambda where: fuse.burn("wire"))
        if point is None or point[0] in IN_PROCESS:
            _run(task, stage)
            say({"points": dict(fuse.burnt)})
        elif point[0] == "handles":
            _few_handles(point[1] - 1)
            _run(task, stage)
        else:
            disk = FailingDisk(stage.disk)
            disk.arm(*point)
            _run(task, stage)
            disk.disarm()
            say({"failed": disk.failed, "first_failed": disk.first_failed})
            say({"points": {point[0]: disk.counted}})
    sys.stdout.flush()
    os._exit(0)


def _few_handles(left: int) -> None:
    """Let this process open *left* more files than it has, and no more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    taken = [os.open(os.devnull, os.O_RDONLY)]
    while taken[-1] < highest:
        taken.append(os.dup(taken[0]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 1 + left, hard))


def _run(task: Callable[[Stage], object], stage: Stage) -> None:
    try:
        task(stage)
    except SpecKittyError as exc:
        told = {"code": exc.code, "message": exc.message, "remedy": exc.remedy}
        stage.say({"error": {**told, "exit_code": exc.exit_code}})
    except BaseException:  # noqa: BLE001  (whatever it is, the parent has to hear of it)
        stage.say({"error": {"crash": traceback.format_exc()}})
