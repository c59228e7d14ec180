"""The WebSocket: one event per frame in, one ack per event out (CONTRACT 5, WebSocket)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.decide import Result
from spec_kitty_sync.receiver.principals import Principal, anyone
from spec_kitty_sync.receiver.reading import may_see
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver
from spec_kitty_sync.receiver.split import Element, split_frame

_TRY_AGAIN_LATER = 1013
_PAGE = 100
_PAUSE_S = 1.0


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
        with self._receiver.feed.listen(principal.scope):
            overview, own = self._receiver.overview, set[str]()
            newest = await asyncio.to_thread(overview.newest_seq, principal.scope)
            passing_on = asyncio.create_task(self._pass_on(socket, principal, newest, own))
            try:
                await self._talk(socket, principal, own)
            except WebSocketDisconnect:
                return
            except StoreError:
                await socket.close(_TRY_AGAIN_LATER)
            finally:
                passing_on.cancel()
                with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
                    await passing_on

    def _authenticate(self, socket: WebSocket) -> Principal:
        if self._receiver.settings.open_to_all:
            return anyone(None)
        token = socket.headers.get("authorization", "").partition(" ")[2].strip()
        return self._receiver.directory.verify(token, "ws")

    async def _talk(self, socket: WebSocket, principal: Principal, own: set[str]) -> None:
        newest = await asyncio.to_thread(self._receiver.parts.store.newest_clock, principal.scope)
        await socket.send_json({"type": "snapshot", "lamport_clock": newest})
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("text") or (message.get("bytes") or b"").decode("utf-8", "replace")
            answer = await self._answer(principal, frame, own)
            if answer is not None:
                await socket.send_text(json.dumps(answer))

    async def _answer(
        self, principal: Principal, frame: str, own: set[str]
    ) -> dict[str, Any] | None:
        try:
            kind = _frame_type(frame)
            if kind == "ping":
                return {"type": "pong"}
            if kind == "pong":
                return None
            if kind != "event":
                return _error(None, "the frame has no known type")
            result = await self._store(principal, split_frame(frame), own)
        except Refusal as refusal:
            return _error(None, refusal.error)
        except StoreError:
            return _error(None, "the store is unavailable", "failed_transient")
        return _ack(result)

    async def _store(self, principal: Principal, element: Element, own: set[str]) -> Result:
        """Settle one event; *own* holds the ids that need not be passed back to their sender."""
        verdict = self._receiver.judge(principal, element)
        name = element.event_id or ""
        # Sent again before it was passed over, an event is still its sender's own.
        known = name in own
        own.add(name)
        stored = False
        try:
            (result,) = await self._receiver.settle(principal, [element], [verdict])
            stored = result.status in ("success", "pending")
            return result
        finally:
            if not stored and not known:
                own.discard(name)

    async def _pass_on(
        self, socket: WebSocket, principal: Principal, after: int, own: set[str]
    ) -> None:
        """Send what others store behind *after*, as long as the session lasts."""
        store = self._receiver.parts.store
        while True:
            await self._receiver.feed.newer(principal.scope, after)
            try:
                page = await asyncio.to_thread(
                    store.page, principal.scope, project_uuid=None, after=after, limit=_PAGE
                )
            except StoreError:
                await asyncio.sleep(_PAUSE_S)
                continue
            for event in page.events:
                after = event.seq
                if event.event_id in own:
                    own.discard(event.event_id)
                elif may_see(principal, event):
                    await socket.send_text(f'{{"type":"event","event":{event.body.decode()}}}')


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
