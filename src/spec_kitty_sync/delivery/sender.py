"""The thread that talks to the receiver while the drain's own thread works on the database."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Sender:
    """Runs jobs one after another. A daemon thread: a request that hangs holds up no exit, which
    a thread pool would wait for."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="drain-sender", daemon=True)

    def submit(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run *job* after those submitted before it."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(job(*args, **kwargs))
            except BaseException as exc:  # noqa: BLE001  (whoever asks for the result gets it)
                future.set_exception(exc)

        self._jobs.put(run)
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        """Wait for the jobs that were submitted."""
        self._jobs.put(None)
        self._thread.join()
