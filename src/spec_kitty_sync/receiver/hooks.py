"""Restart and reset by HTTP, for testers; only with `--test-hooks`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from spec_kitty_sync.receiver.parts import Reply
from spec_kitty_sync.receiver.service import Receiver


class TestHooks:
    """What a tester would otherwise do with a process manager."""

    __test__ = False

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def restart(self, request: Request) -> Response:
        """Close the store and open it again: only what was durable remains."""
        self._receiver.authenticate(request.headers.get("authorization"))
        await self._receiver.restart()
        return self._done("restart")

    async def reset(self, request: Request) -> Response:
        """Wipe the store: no event is known, and the server has a new identity."""
        self._receiver.authenticate(request.headers.get("authorization"))
        await self._receiver.reset()
        return self._done("reset")

    def _done(self, route: str) -> Response:
        instance_id = self._receiver.identity.server_instance_id
        return self._receiver.reply(Reply(route, 200, {"server_instance_id": instance_id}, {}))
