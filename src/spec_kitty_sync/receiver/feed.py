"""Telling listeners that their scope has new events, whichever worker stored them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from spec_kitty_sync.errors import StoreError

_LOG = logging.getLogger(__name__)
_POLL_S = 0.3


@dataclass
class _Scope:
    """The newest `seq` seen, and how many listen."""

    newest: int = 0
    listeners: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)


class Feed:
    """One question to the store for all listeners of a scope, and none without listeners.

    Events stored by this process are noticed at once; those of others by asking again and
    again, where the store is *shared*.
    """

    def __init__(self, newest_seq: Callable[[str], int], *, shared: bool) -> None:
        self._newest_seq = newest_seq
        self._shared = shared
        self._scopes: dict[str, _Scope] = {}
        self._stored: set[str] = set()
        self._wake = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def listen(self, scope: str) -> Iterator[None]:
        """Watch *scope* while the block runs."""
        watched = self._scopes.setdefault(scope, _Scope())
        watched.listeners += 1
        if self._polling is None or self._polling.done():
            self._polling = asyncio.get_running_loop().create_task(self._poll())
        self.stored([scope])
        try:
            yield
        finally:
            watched.listeners -= 1
            if not watched.listeners:
                del self._scopes[scope]
                self._wake.set()

    def stored(self, scopes: Iterable[str]) -> None:
        """Say that this process has stored something in *scopes*."""
        self._stored.update(scopes)
        self._wake.set()

    async def newer(self, scope: str, seq: int) -> int:
        """Wait until *scope*, which is being watched, has events behind *seq*; return the last."""
        watched = self._scopes[scope]
        async with watched.changed:
            await watched.changed.wait_for(lambda: watched.newest > seq)
        return watched.newest

    async def _poll(self) -> None:
        while self._scopes:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S if self._shared else None):
                    await self._wake.wait()
            self._wake.clear()
            asked = list(self._scopes) if self._shared else list(self._stored)
            self._stored.clear()
            for scope in asked:
                await self._look(scope)

    async def _look(self, scope: str) -> None:
        watched = self._scopes.get(scope)
        if watched is None:
            return
        try:
            newest = await asyncio.to_thread(self._newest_seq, scope)
        except StoreError as exc:
            _LOG.warning("the store is unavailable: %s", exc)
            return
        if newest != watched.newest:
            async with watched.changed:
                watched.newest = newest
                watched.changed.notify_all()
