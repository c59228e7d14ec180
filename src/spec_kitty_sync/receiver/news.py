"""Telling live sessions what other sessions and batches have stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from spec_kitty_sync.receiver.decide import NewEvent

_WAITING = 1000


class Subscription:
    """The events of one scope that a session has not seen yet; the oldest are dropped.

    A session that falls behind reads the rest from the read API.
    """

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)

    def tell(self, body: bytes) -> None:
        """Add one event."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(body)

    async def next(self) -> bytes:
        """Return the next event, when there is one."""
        return await self._waiting.get()


class News:
    """Who listens to which scope."""

    def __init__(self) -> None:
        self._listening: dict[str, set[Subscription]] = {}

    @contextmanager
    def subscribe(self, scope: str) -> Iterator[Subscription]:
        """Listen to *scope* while the block runs."""
        subscription = Subscription()
        listening = self._listening.setdefault(scope, set())
        listening.add(subscription)
        try:
            yield subscription
        finally:
            listening.discard(subscription)

    def publish(self, events: Iterable[NewEvent], sender: Subscription | None) -> None:
        """Tell everyone but *sender* about events that are durable."""
        for event in events:
            for subscription in self._listening.get(event.scope, ()):
                if subscription is not sender:
                    subscription.tell(event.body)
