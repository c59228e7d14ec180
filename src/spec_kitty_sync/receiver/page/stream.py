"""`/live`: events as they are stored, as server-sent events; a browser resumes by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.overview import Filter
from spec_kitty_sync.receiver.page import views
from spec_kitty_sync.receiver.page.query import wanted_events
from spec_kitty_sync.receiver.page.sessions import Sessions
from spec_kitty_sync.receiver.principals import Principal
from spec_kitty_sync.receiver.reading import sequence_number
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver

_AT_ONCE = 50
_HEARTBEAT_S = 15.0
_STREAMS = 200
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventStream:
    """One stream per open page; each ends with its session or with the receiver."""

    def __init__(self, receiver: Receiver, sessions: Sessions) -> None:
        self._receiver = receiver
        self._sessions = sessions
        self._open = 0

    async def answer(self, request: Request) -> Response:
        """Answer `?project=&type=&mission=&team=&after=`, or go on after `Last-Event-ID`."""
        principal = self._sessions.principal(request)
        wanted = wanted_events(request, principal)
        after = sequence_number(
            request.headers.get("last-event-id") or request.query_params.get("after", "0")
        )
        if self._open >= _STREAMS:
            raise Refusal(503, "too many open pages", headers={"Retry-After": "30"})
        stream = self._stream(request, principal, wanted, after)
        return StreamingResponse(stream, headers=_HEADERS, media_type="text/event-stream")

    async def _stream(
        self, request: Request, principal: Principal, wanted: Filter, after: int
    ) -> AsyncIterator[str]:
        feed, stopping = self._receiver.feed, self._receiver.stopping
        self._open += 1
        stop = asyncio.ensure_future(stopping.wait())
        newer: asyncio.Future[int] | None = None
        try:
            with feed.listen(principal.scope):
                yield "retry: 2000\n\n"
                while not stopping.is_set() and self._still_welcome(request):
                    newer = newer or asyncio.ensure_future(feed.newer(principal.scope, after))
                    either: set[asyncio.Future[Any]] = {newer, stop}
                    await asyncio.wait(
                        either, timeout=_HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
                    )
                    if newer.done():
                        yield await self._newest(principal, wanted, after)
                        after, newer = newer.result(), None
                    elif not stop.done():
                        yield ": still here\n\n"
        finally:
            self._open -= 1
            for each in (stop, newer):
                if each is not None:
                    each.cancel()

    def _still_welcome(self, request: Request) -> bool:
        try:
            self._sessions.principal(request)
        except Refusal:
            return False
        return True

    async def _newest(self, principal: Principal, wanted: Filter, after: int) -> str:
        """Return the newest events behind *after*, oldest first; under a flood not all."""
        try:
            seen = await asyncio.to_thread(
                self._receiver.overview.recent,
                principal.scope,
                wanted,
                after=after,
                limit=_AT_ONCE,
            )
        except StoreError:
            return ": the store is unavailable\n\n"
        return "".join(
            f"id: {each.seq}\nevent: stored\ndata: {json.dumps(views.shown(each))}\n\n"
            for each in reversed(seen)
        )
