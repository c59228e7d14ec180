"""Processes of a tool: started as anybody would, or forked from one that has it loaded."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final

_START: Final = Path(__file__).with_name("warm_start.py")


class WarmChild:
    """One run of a script that was loaded before; used like a `subprocess.Popen`."""

    def __init__(self, args: Sequence[str], pipes: Sequence[int], status: int) -> None:
        self.args = list(args)
        self.stdin: IO[bytes] | None = os.fdopen(pipes[0], "wb")
        self.stdout: IO[bytes] | None = os.fdopen(pipes[1], "rb")
        self._stderr = os.fdopen(pipes[2], "rb")
        self._status = os.fdopen(status, "rb", buffering=0)
        self.pid = int(self._status.readline())
        self.returncode: int | None = None
        self._out: list[bytes] = []
        self._err: list[bytes] = []
        self._threads: list[threading.Thread] = []

    def communicate(
        self, data: bytes | None = None, timeout: float | None = None
    ) -> tuple[bytes, bytes]:
        """Write *data*, read both streams and wait for the end.

        Raises:
            TimeoutExpired: it still runs after *timeout* seconds; call again after `kill`.
        """
        self._feed(data or b"")
        ready, _, _ = select.select([self._status], [], [], timeout)
        if not ready:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.returncode = int(self._status.readline())
        for thread in self._threads:
            thread.join()
        for stream in (self.stdout, self._stderr, self._status):
            if stream is not None:
                stream.close()
        return b"".join(self._out), b"".join(self._err)

    def poll(self) -> int | None:
        """Return nothing as long as it runs, something once it ended."""
        ready, _, _ = select.select([self._status], [], [], 0)
        return 0 if ready else self.returncode

    def kill(self) -> None:
        """Send SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def _feed(self, data: bytes) -> None:
        if self._threads:
            return
        stdin, self.stdin = self.stdin, None
        self._threads = [
            threading.Thread(target=_read, args=(self.stdout, self._out)),
            threading.Thread(target=_read, args=(self._stderr, self._err)),
            threading.Thread(target=_write, args=(stdin, data)),
        ]
        for thread in self._threads:
            thread.start()


Child = subprocess.Popen[bytes] | WarmChild
Spawn = Callable[[Sequence[str], Path, Mapping[str, str]], Child]


def spawn(argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Child:
    """Start *argv* in a process group of its own."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        argv, cwd=cwd, env=environ, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )


class WarmTool:
    """A script of standard library that is loaded once and forked for each run.

    Each run is a process of its own all the same: it can be killed, and shares nothing.
    """

    def __init__(self, script: Path) -> None:
        self._script = str(script)
        self._socket, theirs = socket.socketpair()
        fd = theirs.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-S", str(_START), str(fd), self._script], pass_fds=[fd]
        )
        theirs.close()

    def spawn(self, argv: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Child:
        """Fork a run where *argv* starts the script, else start *argv* as usual."""
        if self._script not in argv:
            return spawn(argv, cwd, environ)
        rest = argv[argv.index(self._script) :]
        told = json.dumps({"argv": rest, "cwd": str(cwd), "environ": dict(environ)}).encode()
        pairs = [os.pipe() for _ in range(4)]
        theirs = [pairs[0][0], pairs[1][1], pairs[2][1], pairs[3][1]]
        socket.send_fds(self._socket, [len(told).to_bytes(4, "big")], theirs)
        self._socket.sendall(told)
        for fd in theirs:
            os.close(fd)
        return WarmChild(argv, [pairs[0][1], pairs[1][0], pairs[2][0]], pairs[3][0])

    def __enter__(self) -> WarmTool:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()
        self._process.wait()


def kill_group(pid: int) -> None:
    """Send SIGKILL to the process group of *pid*."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _read(stream: IO[bytes] | None, into: list[bytes]) -> None:
    if stream is not None:
        into.append(stream.read())


def _write(stream: IO[bytes] | None, data: bytes) -> None:
    # A process that ended, or reads nothing, does not want it.
    with contextlib.suppress(BrokenPipeError):
        if stream is not None:
            with stream:
                stream.write(data)
