"""`POST /api/v1/token/`, `/token/refresh/` and `/ws-token` (CONTRACT 5, Auth, WebSocket)."""

from __future__ import annotations

import json
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from spec_kitty_sync.receiver.inflate import Identity
from spec_kitty_sync.receiver.intake import check_framing, read_body
from spec_kitty_sync.receiver.parts import Reply
from spec_kitty_sync.receiver.refusal import malformed
from spec_kitty_sync.receiver.service import Receiver

_MAX_BYTES = 16_384


class TokenEndpoints:
    """Login, refresh, and the short-lived token of a WebSocket."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def login(self, request: Request) -> Response:
        """Answer username and password with a pair of tokens."""
        fields = await self._fields(request)
        principal = await self._receiver.log_in(fields.get("username"), fields.get("password"))
        content = self._receiver.directory.pair(principal)
        return self._receiver.reply(Reply("token", 200, content, {"Cache-Control": "no-store"}))

    async def refresh(self, request: Request) -> Response:
        """Answer a refresh token with a new pair."""
        fields = await self._fields(request)
        content = self._receiver.directory.refresh(fields.get("refresh"))
        return self._receiver.reply(Reply("token", 200, content, {"Cache-Control": "no-store"}))

    async def live(self, request: Request) -> Response:
        """Answer with the address and the token of a WebSocket session."""
        directory = self._receiver.directory
        principal = self._receiver.authenticate(request.headers.get("authorization"))
        lifetime_s = directory.lifetimes.ws_s
        public_url = (
            self._receiver.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
        )
        content = {
            "ws_url": f"ws{public_url.removeprefix('http').rstrip('/')}/api/v1/ws/",
            "ws_token": directory.sign(principal, "ws", lifetime_s),
            "expires_in": lifetime_s,
            "session_id": secrets.token_hex(8),
        }
        return self._receiver.reply(Reply("ws-token", 200, content, {"Cache-Control": "no-store"}))

    async def _fields(self, request: Request) -> dict[str, Any]:
        check_framing(request)
        body = await read_body(request, Identity(_MAX_BYTES), self._receiver.parts.limits)
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise malformed("the body is not JSON") from None
        if not isinstance(fields, dict):
            raise malformed("the body is not a JSON object")
        return fields
