"""One drain per target at a time: an OS lock that dies with its holder (CONTRACT 6)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from spec_kitty_sync._clock import Clock, utc_iso
from spec_kitty_sync._files import make_private_dir, touch_private, write_atomic
from spec_kitty_sync.errors import DrainLockedError

WAIT_S = 15.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who drains: a process, and since when (epoch milliseconds)."""

    pid: int
    since_ms: int


@contextmanager
def drain_lock(
    locks_dir: Path, target_id: int, *, clock: Clock, wait_s: float = WAIT_S
) -> Iterator[None]:
    """Hold the drain lock of one target while the block runs.

    The lock file is never deleted; the kernel frees the lock when the process dies.

    Raises:
        DrainLockedError: another process still holds it after *wait_s*; the message says who.
    """
    make_private_dir(locks_dir, durable=False)
    path = locks_dir / f"drain-{target_id}.lock"
    touch_private(path)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait_s, poll_interval=_POLL_S)
    except Timeout:
        raise _refusal(locks_dir, target_id) from None
    try:
        now = {"pid": os.getpid(), "since_ms": clock.now_ms()}
        with suppress(OSError):  # who it is, is told as far as the disk allows
            write_atomic(
                _holder_path(locks_dir, target_id), json.dumps(now).encode(), durable=False
            )
        yield
    finally:
        lock.release()


def drain_running(locks_dir: Path, target_id: int) -> bool:
    """Whether some process drains this target right now. Creates nothing."""
    path = locks_dir / f"drain-{target_id}.lock"
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def read_holder(locks_dir: Path, target_id: int) -> Holder | None:
    """Return who took the lock last, or None. Only meaningful while it is held."""
    try:
        stored = json.loads(_holder_path(locks_dir, target_id).read_bytes())
        return Holder(int(stored["pid"]), int(stored["since_ms"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
