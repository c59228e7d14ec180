"""Group commit: batches that wait while one commits are stored together with one fsync."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.receiver.decide import Known, NewEvent
from spec_kitty_sync.receiver.store import EventStore, Identity

_Waiting = tuple[Sequence[NewEvent], "asyncio.Future[Mapping[str, Known]]"]


class Observe(Protocol):
    """Learns of every commit."""

    def __call__(self, events: int, seconds: float, *, failed: bool) -> None:
        """Take how many events it had, how long it took, and whether it failed."""
        ...


def _nobody_observes(events: int, seconds: float, *, failed: bool) -> None:
    return


class Committer:
    """The one writer of a store, on a thread of its own."""

    def __init__(
        self, store: EventStore, clock: Clock, observe: Observe = _nobody_observes
    ) -> None:
        self._observe = observe
        self._store = store
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="receiver-store")
        self._waiting: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None

    async def open(self) -> Identity:
        """Open the store."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._store.open)

    async def add(self, batch: Sequence[NewEvent]) -> Mapping[str, Known]:
        """Store *batch* and return what was known of it before; durable when it returns.

        Raises:
            StoreError: nothing of it was stored.
        """
        if not batch:
            return {}
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Mapping[str, Known]] = loop.create_future()
        self._waiting.append((batch, answer))
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        return await answer

    async def reset(self) -> Identity:
        """Wipe the store."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._store.reset)

    async def close(self) -> None:
        """Finish what waits, then close the store; `open` opens it again."""
        if self._running is not None:
            await self._running
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)

    def end(self) -> None:
        """Let the thread go; nothing can be opened or added any more."""
        self._thread.shutdown()

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            stored = asyncio.get_running_loop().run_in_executor(
                self._thread, self._add_group, [batch for batch, _ in group]
            )
            await asyncio.wait([stored])
            error = stored.exception()
            for index, (_, answer) in enumerate(group):
                if answer.done():
                    continue  # whoever waited for it is gone
                if error is not None:
                    answer.set_exception(error)
                else:
                    answer.set_result(stored.result()[index])

    def _add_group(self, group: Sequence[Sequence[NewEvent]]) -> list[Mapping[str, Known]]:
        started_s = time.perf_counter()
        failed = True
        try:
            known = self._store.add(group, now_ms=self._clock.now_ms())
            failed = False
            return known
        finally:
            seconds = time.perf_counter() - started_s
            self._observe(sum(map(len, group)), seconds, failed=failed)
