"""`/ready` and `/metrics`: for whoever runs the receiver; both answer without a token."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.parts import Reply
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver

_PATIENCE_S = 3.0


class Operations:
    """Answers for load balancers and Prometheus."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def ready(self, request: Request) -> Response:
        """Answer 200 while requests are welcome and the store answers, else 503."""
        if self._receiver.stopping.is_set():
            raise Refusal(503, "the receiver is stopping", headers={"Retry-After": "1"})
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await asyncio.to_thread(self._receiver.parts.store.identity)
        except (StoreError, TimeoutError):
            raise Refusal(503, "the store is unavailable", headers={"Retry-After": "5"}) from None
        return self._receiver.reply(Reply("ready", 200, {"status": "ready"}, {}))

    async def metrics(self, request: Request) -> Response:
        """Answer the figures of all workers."""
        body, media_type = await asyncio.to_thread(self._receiver.metrics.text)
        return Response(body, headers={"Content-Type": media_type})
