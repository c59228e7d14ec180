"""Delivery while nobody looks: one thread that drains, backs off, and shows signs of life."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.delivery.dispatcher import StopSignal
from spec_kitty_sync.delivery.report import DrainReport
from spec_kitty_sync.errors import DrainLockedError, InternalError, SpecKittyError
from spec_kitty_sync.sync.heartbeat import Heartbeat, HeartbeatFile

_LOG = logging.getLogger(__name__)

STOP_BOUND_S = 2.0
"""No command waits longer than this for the service at its end."""

Drain = Callable[[StopSignal], DrainReport]


@dataclass(frozen=True, slots=True)
class Pacing:
    """Seconds: between drains when all is well, after an event, and the backoff's two ends."""

    idle_s: float = 30.0
    settle_s: float = 0.2
    first_backoff_s: float = 2.0
    longest_backoff_s: float = 300.0

    def backoff_s(self, failures: int, jitter: float) -> float:
        """Return the wait after *failures* in a row: doubled each time, ± half by *jitter* 0-1."""
        doubled = self.first_backoff_s * 2.0 ** min(max(failures - 1, 0), 30)
        return min(doubled, self.longest_backoff_s) * (0.5 + jitter)


class _LastChance:
    """Stops a drain when the service must end: at once, or when its time for goodbye is over."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._until_s = 0.0

    def set(self, until_s: float) -> None:
        self._until_s = until_s
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def is_set(self) -> bool:
        return self._stopping.is_set() and time.monotonic() >= self._until_s


class BackgroundSyncService:
    """Drains in a daemon thread. *keep_live* is called before each drain and says whether a live
    connection stands; both may take their time, and raise what belongs to delivery."""

    def __init__(
        self,
        drain: Drain,
        *,
        heartbeat: HeartbeatFile,
        clock: Clock,
        keep_live: Callable[[], bool] = lambda: False,
        pacing: Pacing | None = None,
    ) -> None:
        self._drain = drain
        self._file = heartbeat
        self._clock = clock
        self._keep_live = keep_live
        self._pacing = pacing or Pacing()
        self._stop = _LastChance()
        self._waiting = threading.Event()  # events came after the latest attempt began
        self._nudge = threading.Event()  # ends a pause
        self._attempting = threading.Lock()
        self._thread: threading.Thread | None = None
        now_ms = clock.now_ms()
        self._beat = Heartbeat(0, now_ms, now_ms, now_ms, "starting")
        self.on_beat: Callable[[Heartbeat], None] = lambda beat: None

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def beat(self) -> Heartbeat:
        """The latest sign of life."""
        return self._beat

    def start(self) -> None:
        """Start the thread; nothing happens when it runs."""
        if self.running:
            return
        self._stop = _LastChance()
        self._thread = threading.Thread(target=self.run, name="sync-background", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that an event waits. During a backoff it waits on."""
        self._waiting.set()
        self._nudge.set()

    def stop(self, bound_s: float = STOP_BOUND_S) -> bool:
        """End the thread, after one last drain if events wait; whether it ended in *bound_s*."""
        until_s = time.monotonic() + bound_s * 0.75 if self._waiting.is_set() else 0.0
        self._stop.set(until_s)
        self._nudge.set()
        if self._thread is None:
            return True
        self._thread.join(bound_s)
        return not self._thread.is_alive()

    def pause(self, wait_s: float) -> bool:
        """Let no attempt begin until `resume`; False where one still runs after *wait_s*."""
        return self._attempting.acquire(timeout=wait_s)

    def resume(self) -> None:
        """Undo a `pause` that came true."""
        self._attempting.release()

    def run(self) -> None:
        """Drain until told to stop; in the thread of `start`, or in the caller's."""
        self._beat = replace(self._beat, pid=os.getpid())
        self._file.begin()
        try:
            while not self._finished():
                self._show("delivering", 0.0)
                with self._attempting:
                    wait_s = self._attempt()
                if not self._stop.stopping:
                    self._pause(wait_s)
        finally:
            self._file.end()

    def _finished(self) -> bool:
        """Whether to stop now; events that came since the latest attempt get one last drain."""
        one_more = self._waiting.is_set() and self._beat.failures == 0 and not self._stop.is_set()
        return self._stop.stopping and not one_more

    def _attempt(self) -> float:
        """Drain once; return how long to wait before the next time."""
        self._waiting.clear()
        stop, retry_at = self._drained()
        now_ms = self._clock.now_ms()
        beat = replace(self._beat, last_attempt_at=now_ms, last_stop=stop)
        if stop is None:
            self._beat = replace(beat, failures=0, last_success_at=now_ms)
            return self._pacing.idle_s
        self._beat = replace(beat, failures=beat.failures + 1)
        wait_s = self._pacing.backoff_s(self._beat.failures, random.random())
        if retry_at is not None:
            wait_s = max(wait_s, (retry_at - now_ms) / 1000)
        return wait_s

    def _drained(self) -> tuple[str | None, int | None]:
        """Return why the drain ended early, and when the server wants to be asked again."""
        try:
            if not self._stop.stopping:
                self._beat = replace(self._beat, live=self._keep_live())
            report = self._drain(self._stop)
        except DrainLockedError:
            return None, None  # another process delivers the same events
        except SpecKittyError as exc:
            _LOG.info("background delivery: %s", exc.message)
            return str(exc.facts.get("reason", exc.code)), None
        except Exception:  # noqa: BLE001  (a defect must not end delivery for good)
            _LOG.exception("background delivery: internal error")
            return InternalError.code, None
        if report.stop is None or report.stop.code == "interrupted":
            return None, None
        return report.stop.code, report.stop.retry_at

    def _pause(self, wait_s: float) -> None:
        """Wait; an event ends it early, unless the server is in trouble."""
        backing_off = self._beat.failures > 0
        self._show("backing off" if backing_off else "waiting", wait_s)
        if backing_off:
            self._sleep(wait_s)
        elif self._nudge.wait(wait_s):
            # Events come in bursts: let the burst end.
            self._sleep(self._pacing.settle_s)
        self._nudge.clear()

    def _sleep(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while not self._stop.stopping and (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.05))

    def _show(self, activity: str, wait_s: float) -> None:
        now_ms = self._clock.now_ms()
        promise = now_ms + int(wait_s * 1000)
        self._beat = replace(self._beat, activity=activity, beat_at=now_ms, next_beat_at=promise)
        self._file.write(self._beat)
        self.on_beat(self._beat)
