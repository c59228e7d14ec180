"""Signs of life of the background services: one small file for each process that has one."""

from __future__ import annotations

import contextlib
import enum
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from spec_kitty_sync._clock import Clock, utc_iso
from spec_kitty_sync._files import Home, make_private_dir, write_atomic
from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.sync.status_report import ServiceSection

FOLDER = "background"
_GRACE_MS = 120_000


class Liveness(enum.StrEnum):
    """What became of a service, as far as its file tells."""

    RUNNING = "running"
    STALLED = "stalled"
    DEAD = "dead"


@dataclass(frozen=True)
class Heartbeat:
    """What a service says of itself; times are epoch milliseconds.

    `next_beat_at` is when it promises to write again, at the latest.
    """

    pid: int
    started_at: int
    beat_at: int
    next_beat_at: int
    activity: str
    live: bool = False
    failures: int = 0
    last_attempt_at: int | None = None
    last_success_at: int | None = None
    last_stop: str | None = None


class HeartbeatFile:
    """The file of this process; a home that refuses it is no error."""

    def __init__(self, home: Home) -> None:
        self._folder = home.root / FOLDER
        self._path = self._folder / f"{os.getpid()}.json"

    def write(self, beat: Heartbeat) -> None:
        """Replace the file."""
        with contextlib.suppress(OSError):
            write_atomic(self._path, json.dumps(asdict(beat)).encode(), durable=False)

    def begin(self) -> None:
        """Make the folder, and clear away what dead processes left behind."""
        try:
            make_private_dir(self._folder)
        except StoreError as exc:
            import logging  # reports read this module, and have nothing to say

            logging.getLogger(__name__).warning("no sign of life: %s", exc.message)
            return
        for path, beat in _all(self._folder):
            if beat is None or not _alive(beat.pid):
                with contextlib.suppress(OSError):
                    path.unlink()

    def end(self) -> None:
        """Take the file away: the service ended as it should."""
        with contextlib.suppress(OSError):
            self._path.unlink()


def read_service(home: Home, *, clock: Clock) -> ServiceSection:
    """Return the best of the services of this home; reads only."""
    now_ms = clock.now_ms()
    beats = [beat for _, beat in _all(home.root / FOLDER) if beat is not None]
    if not beats:
        return ServiceSection("none")
    order = list(Liveness)
    best = min(beats, key=lambda beat: (order.index(liveness(beat, now_ms)), -beat.beat_at))
    return ServiceSection(
        state=liveness(best, now_ms).value,
        pid=best.pid,
        activity=best.activity,
        live=best.live,
        failures=best.failures,
        last_beat_at=utc_iso(best.beat_at),
        last_success_at=None if best.last_success_at is None else utc_iso(best.last_success_at),
        last_stop=best.last_stop,
    )


def liveness(beat: Heartbeat, now_ms: int) -> Liveness:
    """Return whether the service still keeps its promises."""
    if not _alive(beat.pid):
        return Liveness.DEAD
    if now_ms > beat.next_beat_at + _GRACE_MS:
        return Liveness.STALLED
    return Liveness.RUNNING


def _all(folder: Path) -> Iterator[tuple[Path, Heartbeat | None]]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, Heartbeat(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            yield path, None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
