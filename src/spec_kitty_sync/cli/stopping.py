"""Ctrl-C and SIGTERM as a wish to stop: what is on the wire is finished first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from spec_kitty_sync.cli.render_error import stopping


class StopRequest:
    """Set by the first signal; the second one ends the program at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def is_set(self) -> bool:
        """Whether somebody asked us to stop."""
        return self.signal is not None

    def exit_code(self, code: int) -> int:
        """Return 128 + the signal where it came, else *code*."""
        return code if self.signal is None else 128 + self.signal

    def hear(self, number: int, _: FrameType | None) -> None:
        """Note the signal, or give up waiting at the second one."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        stopping()


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Yield a request that SIGINT and SIGTERM set while the block runs."""
    request = StopRequest()
    before = {each: signal.signal(each, request.hear) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
