"""A lock between processes on a file that is never deleted, freed when its holder dies."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spec_kitty_sync._files import make_private_dir, touch_private
from spec_kitty_sync.errors import StoreBusyError

_CHANGE_WAIT_S = 30.0


def _short_wait_s() -> float:
    import random  # only who has to wait needs it

    return random.uniform(0.0001, 0.001)


try:
    import fcntl
except ImportError:  # Windows
    from filelock import FileLock, Timeout

    class WriterLock:
        """At most one holder at a time, across processes."""

        def __init__(self, path: Path) -> None:
            self._lock = FileLock(path)

        @contextmanager
        def hold(self, timeout_s: float) -> Iterator[None]:
            try:
                self._lock.acquire(timeout=timeout_s, poll_interval=0.002)
            except Timeout as exc:
                raise TimeoutError from exc
            try:
                yield
            finally:
                self._lock.release()

        def close(self) -> None:
            self._lock.release(force=True)

else:
    # A fork copies what SQLite knows of its locks: a child made while another thread writes would
    # find the database locked for ever. So nobody forks in the middle of a write.
    _ONE_THREAD = threading.RLock()
    os.register_at_fork(
        before=_ONE_THREAD.acquire,
        after_in_parent=_ONE_THREAD.release,
        after_in_child=_ONE_THREAD.release,
    )

    class WriterLock:  # type: ignore[no-redef]  # the same class on POSIX
        """At most one holder at a time, across processes.

        The file stays open: filelock opens it anew at each turn, which costs as much as an append.
        """

        def __init__(self, path: Path) -> None:
            touch_private(path)
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

        @contextmanager
        def hold(self, timeout_s: float) -> Iterator[None]:
            """Wait for the lock and hold it during the block.

            Short random waits: nobody queues behind a stopped process, and nobody starves.

            Raises:
                TimeoutError: somebody else held it all the time.
            """
            deadline = time.monotonic() + timeout_s
            if not _ONE_THREAD.acquire(timeout=timeout_s):
                raise TimeoutError
            try:
                self._wait(deadline)
                try:
                    yield
                finally:
                    fcntl.flock(self._fd, fcntl.LOCK_UN)
            finally:
                _ONE_THREAD.release()

        def _wait(self, deadline: float) -> None:
            while not self._try():
                if time.monotonic() >= deadline:
                    raise TimeoutError
                time.sleep(_short_wait_s())

        def _try(self) -> bool:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        def close(self) -> None:
            os.close(self._fd)


@contextmanager
def change_lock(root: Path, name: str) -> Iterator[None]:
    """Let one process at a time change the file *name* below *root*, from reading to writing.

    Raises:
        StoreBusyError: another process holds it for too long.
    """
    from filelock import FileLock, Timeout  # most runs change nothing

    make_private_dir(root)
    make_private_dir(root / "locks")
    path = root / "locks" / f"{name}.lock"
    touch_private(path)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=_CHANGE_WAIT_S, poll_interval=0.01)
    except Timeout:
        raise StoreBusyError(f"another process is changing the {name}") from None
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on *path* right now; creates and writes nothing."""
    if not path.exists():
        return False
    if os.name != "posix":
        return False  # there is no way to ask without writing
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
