"""Time and ids enter the program here, so that tests can hold both still."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time and a clock that never goes back."""

    def now_ms(self) -> int:
        """Return epoch milliseconds (UTC)."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class ManualClock:
    """A clock that moves only when told to; sleeping moves it."""

    wall_ms: int = 1_770_000_000_000
    mono_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by *seconds*."""
        self.wall_ms += int(seconds * 1000)
        self.mono_s += seconds


IdSource = Callable[[], str]
"""Returns a new ULID at each call, increasing within the process."""


def utc_iso(epoch_ms: int) -> str:
    """Return *epoch_ms* as RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
