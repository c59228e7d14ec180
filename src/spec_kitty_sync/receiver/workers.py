"""A parent that keeps N worker processes alive on one listening socket."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_LOG = logging.getLogger(__name__)
_STOPS = (signal.SIGTERM, signal.SIGINT)
_RESTART_S = (0.0, 0.2, 1.0, 2.0, 5.0)
_STEADY_S = 10.0
_GRACE_S = 15.0
_LOOK_S = 1.0

Work = Callable[[int, Callable[[], None]], None]
"""Takes the worker's number and what to call once it accepts connections; ends on SIGTERM."""


@dataclass
class _Worker:
    """One place among the workers and the process that has it."""

    number: int
    pid: int = 0
    started_s: float = 0.0
    failures: int = 0
    not_before_s: float = 0.0


@dataclass
class Workers:
    """Runs `work` in *count* processes; one that dies is started again, later and later."""

    work: Work
    count: int
    _workers: list[_Worker] = field(default_factory=list)
    _pipes: tuple[int, int, int, int] = (-1, -1, -1, -1)
    _stopping: bool = False

    def run(self, ready: Callable[[], None]) -> None:
        """Return after SIGTERM or SIGINT, when every worker has ended.

        *ready* is called once all workers accept connections. When this process dies, the
        workers end by themselves.
        """
        accepting, accepts = os.pipe()
        alive, lifeline = os.pipe()
        self._pipes = (accepting, accepts, alive, lifeline)
        self._workers = [_Worker(number) for number in range(self.count)]
        with self._signals() as wakeup:
            try:
                self._supervise(wakeup, ready)
            finally:
                self._end()
                for descriptor in self._pipes:
                    os.close(descriptor)

    def _supervise(self, wakeup: int, ready: Callable[[], None]) -> None:
        accepting = self._pipes[0]
        said = 0
        while not self._stopping:
            self._start_missing()
            readable, _, _ = select.select([wakeup, accepting], [], [], self._pause_s())
            if wakeup in readable:
                os.read(wakeup, 4096)
            if accepting in readable:
                before, said = said, said + len(os.read(accepting, 4096))
                if before < self.count <= said:
                    ready()
            self._reap()

    def _pause_s(self) -> float:
        waiting = [each.not_before_s for each in self._workers if not each.pid]
        return min([_LOOK_S, *(max(0.0, each - time.monotonic()) for each in waiting)])

    def _start_missing(self) -> None:
        for worker in self._workers:
            if not worker.pid and worker.not_before_s <= time.monotonic():
                worker.started_s = time.monotonic()
                worker.pid = os.fork() or self._become(worker.number)

    def _become(self, number: int) -> int:
        """Be the worker; never returns."""
        status = 1
        try:
            accepting, accepts, alive, lifeline = self._pipes
            signal.set_wakeup_fd(-1)
            for each in (*_STOPS, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            os.close(accepting)
            os.close(lifeline)
            end_with_parent(alive)
            self.work(number, lambda: _say(accepts))
            status = 0
        except SystemExit as exc:
            status = exc.code if isinstance(exc.code, int) else 1
        finally:
            if sys.exc_info()[0] is not None:
                _LOG.critical("worker %d failed", number, exc_info=True)
            logging.shutdown()
            os._exit(status)

    def _reap(self) -> None:
        for worker in self._workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            now_s = time.monotonic()
            steady = now_s - worker.started_s > _STEADY_S
            worker.failures = 1 if steady else worker.failures + 1
            pause_s = _RESTART_S[min(worker.failures, len(_RESTART_S)) - 1]
            worker.not_before_s = now_s + pause_s
            if not self._stopping:
                code = os.waitstatus_to_exitcode(status)
                _LOG.error("worker %d ended with %d; starting it again", worker.number, code)
            worker.pid = 0

    def _end(self) -> None:
        """Ask every worker to finish what it has begun; after the grace they are killed."""
        deadline_s = time.monotonic() + _GRACE_S
        self._kill(signal.SIGTERM)
        while any(worker.pid for worker in self._workers):
            if time.monotonic() > deadline_s:
                self._kill(signal.SIGKILL)
            time.sleep(0.02)
            self._reap()

    def _kill(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, number)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Note stops and the end of children; yield what becomes readable at each."""
        readable, writable = os.pipe()
        os.set_blocking(writable, False)

        def note(number: int, frame: object) -> None:
            self._stopping = self._stopping or number in _STOPS

        handled = (*_STOPS, signal.SIGCHLD)
        earlier = {number: signal.signal(number, note) for number in handled}
        wakeup = signal.set_wakeup_fd(writable)
        try:
            yield readable
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in earlier.items():
                signal.signal(number, handler)
            os.close(readable)
            os.close(writable)


def end_with_parent(alive: int) -> None:
    """Send this process SIGTERM when the other end of the pipe *alive* is gone."""

    def watch() -> None:
        os.read(alive, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _say(descriptor: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, b"x")


class SharedListener(socket.socket):
    """A listening socket that several processes accept from.

    It listens already; a worker that calls `listen` again would change the queue of all.
    """

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing."""
