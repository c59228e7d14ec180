"""How many requests at once and per second."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.refusal import Refusal

_ARRIVING_PER_PLACE = 4


class Throttle:
    """A token bucket per principal, one second deep, and counts of requests under way.

    All of it is of one worker: N workers let N times as much through.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._arriving = 0
        self._running = 0
        self._buckets: dict[str, tuple[float, float]] = {}

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Hold one of the places for bodies that arrive: more of them, for clients are slow.

        Raises:
            Refusal: 503 with Retry-After, all are taken.
        """
        if self._arriving >= self._limits.max_concurrent * _ARRIVING_PER_PLACE:
            raise _busy()
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold one of the places for batches that are judged and stored.

        Raises:
            Refusal: 503 with Retry-After, all are taken.
        """
        if self._running >= self._limits.max_concurrent:
            raise _busy()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def spend(self, username: str) -> None:
        """Count one request of *username*.

        Raises:
            Refusal: 429 with Retry-After.
        """
        rate = self._limits.requests_per_s
        if rate is None:
            return
        depth = max(rate, 1.0)
        now_s = self._clock.monotonic_s()
        left, since_s = self._buckets.get(username, (depth, now_s))
        left = min(depth, left + (now_s - since_s) * rate)
        if left < 1.0:
            self._buckets[username] = (left, now_s)
            wait_s = math.ceil((1.0 - left) / rate)
            raise Refusal(429, "too many requests", headers={"Retry-After": str(wait_s)})
        self._buckets[username] = (left - 1.0, now_s)


def _busy() -> Refusal:
    return Refusal(503, "too many requests at once", headers={"Retry-After": "1"})
