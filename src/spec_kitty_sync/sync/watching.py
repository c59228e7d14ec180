"""The background service in the foreground, until a signal ends it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.heartbeat import Heartbeat
from spec_kitty_sync.sync.runtime import make_service

_SIGNALLED = 128


def watch_home(settings: Settings, show: Callable[[Heartbeat], None]) -> int:
    """Deliver until SIGINT or SIGTERM, telling *show* what happens; return 128 + the signal.

    Must run on the main thread. Events that other processes append are found at the next turn.
    """
    service = make_service(settings, SystemClock())
    service.on_beat = show
    ended_by: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        ended_by.append(number)
        service.stop(0.0)

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        service.run()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return _SIGNALLED + ended_by[0] if ended_by else 0
