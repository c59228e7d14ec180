"""One drain per target at a time, and none across a restore: OS locks that die with their holder.

CONTRACT 6, One drain per target.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from spec_kitty_sync._clock import Clock, utc_iso
from spec_kitty_sync._files import make_private_dir, touch_private, write_atomic
from spec_kitty_sync._locks import is_locked
from spec_kitty_sync.errors import DrainLockedError, RestoreRunningError

WAIT_S = 15.0
_POLL_S = 0.05
_GATE = "restore.lock"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who drains: a process, and since when (epoch milliseconds)."""

    pid: int
    since_ms: int


@contextmanager
def drain_lock(
    locks_dir: Path, target_id: int, *, clock: Clock, wait_s: float = WAIT_S
) -> Iterator[None]:
    """Hold the drain lock of one target while the block runs; no restore runs meanwhile.

    The lock file is never deleted; the kernel frees the lock when the process dies.

    Raises:
        RestoreRunningError: a restore is still running after *wait_s*.
        DrainLockedError: another process still holds it after *wait_s*; the message says who.
    """
    make_private_dir(locks_dir, durable=False)
    lock = _pass_gate(locks_dir, target_id, time.monotonic() + wait_s)
    try:
        now = {"pid": os.getpid(), "since_ms": clock.now_ms()}
        with suppress(OSError):  # who it is, is told as far as the disk allows
            write_atomic(
                _holder_path(locks_dir, target_id), json.dumps(now).encode(), durable=False
            )
        yield
    finally:
        lock.release()


def _pass_gate(locks_dir: Path, target_id: int, deadline: float) -> FileLock:
    """Take the target's lock at a moment when no restore runs."""
    while True:
        lock = _taken(_drain_path(locks_dir, target_id), deadline)
        if not _held(locks_dir / _GATE):
            if lock is None:
                raise _refusal(locks_dir, target_id)
            return lock
        if lock is not None:
            lock.release()
        if time.monotonic() >= deadline:
            raise RestoreRunningError("a restore of this home is running")
        time.sleep(_POLL_S)


@contextmanager
def no_drain(locks_dir: Path, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Let no drain of this home, to whatever target, run or begin while the block runs.

    Why none can be running in the block: a drain looks at the gate after it has taken its
    target's lock, and lets go if the gate is shut. So one that goes on took its lock, in a file
    that is never deleted, before the gate was shut here; and all such files are listed and locked
    after that. The files are asked, not the database: it may be damaged, or still to be changed.

    Raises:
        RestoreRunningError: another restore still runs after *wait_s*.
        DrainLockedError: a drain does.
    """
    make_private_dir(locks_dir, durable=False)
    deadline = time.monotonic() + wait_s
    with ExitStack() as held:
        gate = _taken(locks_dir / _GATE, deadline)
        if gate is None:
            raise RestoreRunningError("another restore of this home is running")
        held.callback(gate.release)
        for path in sorted(locks_dir.glob("drain-*.lock")):
            lock = _taken(path, deadline)
            if lock is None:
                raise _refusal(locks_dir, int(path.stem.removeprefix("drain-")))
            held.callback(lock.release)
        yield


def _taken(path: Path, deadline: float) -> FileLock | None:
    """Return the lock on *path*, held; None if somebody else holds it until *deadline*."""
    touch_private(path)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=max(0.0, deadline - time.monotonic()), poll_interval=_POLL_S)
    except Timeout:
        return None
    return lock


def _held(path: Path) -> bool:
    """Whether some process holds the lock on *path* right now. Creates nothing."""
    if os.name == "posix":
        return is_locked(path)  # shared: those who ask are not in each other's way
    if not path.exists():
        return False
    lock = _taken(path, 0.0)
    if lock is not None:
        lock.release()
    return lock is None


def drain_running(locks_dir: Path, target_id: int) -> bool:
    """Whether some process drains this target right now. Creates nothing."""
    return _held(_drain_path(locks_dir, target_id))


def read_holder(locks_dir: Path, target_id: int) -> Holder | None:
    """Return who took the lock last, or None. Only meaningful while it is held."""
    try:
        stored = json.loads(_holder_path(locks_dir, target_id).read_bytes())
        return Holder(int(stored["pid"]), int(stored["since_ms"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _drain_path(locks_dir: Path, target_id: int) -> Path:
    return locks_dir / f"drain-{target_id}.lock"


def _holder_path(locks_dir: Path, target_id: int) -> Path:
    # Beside the lock file, because Windows refuses to read a locked one.
    return locks_dir / f"drain-{target_id}.holder.json"


def _refusal(locks_dir: Path, target_id: int) -> DrainLockedError:
    holder = read_holder(locks_dir, target_id)
    if holder is None:
        return DrainLockedError("another process is draining this target")
    return DrainLockedError(
        f"process {holder.pid} has been draining this target since {utc_iso(holder.since_ms)}",
        pid=holder.pid,
        since_ms=holder.since_ms,
    )
