"""The WebSocket: one event per frame in, one ack per event out (CONTRACT 5, WebSocket)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.decide import Result
from spec_kitty_sync.receiver.news import Subscription
from spec_kitty_sync.receiver.principals import Principal, anyone
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver
from spec_kitty_sync.receiver.split import split_frame

_TRY_AGAIN_LATER = 1013


class LiveEndpoint:
    """Sends a snapshot first, then answers frames in order and passes on what others sent."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def talk(self, socket: WebSocket) -> None:
        try:
            principal = self._authenticate(socket)
        except Refusal as refusal:
            await socket.send_denial_response(self._receiver.refusal("ws", refusal))
            return
        await socket.accept()
        with self._receiver.news.subscribe(principal.scope) as subscription:
            passing_on = asyncio.create_task(_pass_on(socket, subscription))
            try:
                await self._talk(socket, principal, subscription)
            except WebSocketDisconnect:
                return
            except StoreError:
                await socket.close(_TRY_AGAIN_LATER)
            finally:
                passing_on.cancel()
                with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
                    await passing_on

    def _authenticate(self, socket: WebSocket) -> Principal:
        if self._receiver.settings.users is None:
            return anyone(None)
        token = socket.headers.get("authorization", "").partition(" ")[2].strip()
        return self._receiver.directory.verify(token, "ws")

    async def _talk(
        self, socket: WebSocket, principal: Principal, subscription: Subscription
    ) -> None:
        newest = await asyncio.to_thread(self._receiver.parts.store.newest_clock, principal.scope)
        await socket.send_json({"type": "snapshot", "lamport_clock": newest})
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("text") or (message.get("bytes") or b"").decode("utf-8", "replace")
            answer = await self._answer(principal, frame, subscription)
            if answer is not None:
                await socket.send_text(json.dumps(answer))

    async def _answer(
        self, principal: Principal, frame: str, subscription: Subscription
    ) -> dict[str, Any] | None:
        try:
            kind = _frame_type(frame)
            if kind == "ping":
                return {"type": "pong"}
            if kind == "pong":
                return None
            if kind != "event":
                return _error(None, "the frame has no known type")
            verdict = self._receiver.judge(principal, split_frame(frame))
            (result,) = await self._receiver.settle([verdict], sender=subscription)
        except Refusal as refusal:
            return _error(None, refusal.error)
        except StoreError:
            return _error(None, "the store is unavailable", "failed_transient")
        return _ack(result)


def _frame_type(frame: str) -> object:
    try:
        fields = json.loads(frame)
    except (ValueError, RecursionError):
        raise Refusal(400, "the frame is not JSON") from None
    return fields.get("type") if isinstance(fields, dict) else None


def _ack(result: Result) -> dict[str, Any]:
    if result.error is not None:
        return _error(result.event_id, result.error)
    status = "duplicate" if result.status == "duplicate" else "accepted"
    return {"type": "ack", "event_id": result.event_id, "status": status}


def _error(event_id: str | None, error: str, status: str = "rejected") -> dict[str, Any]:
    return {"type": "error", "event_id": event_id, "status": status, "error": error}


async def _pass_on(socket: WebSocket, subscription: Subscription) -> None:
    while True:
        body = await subscription.next()
        await socket.send_text(f'{{"type":"event","event":{body.decode()}}}')
