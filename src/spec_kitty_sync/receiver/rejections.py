"""Remembering what was refused, without making any answer wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.decide import MAX_REASON, Result
from spec_kitty_sync.receiver.overview import Overview, Rejection
from spec_kitty_sync.receiver.principals import Principal

_LOG = logging.getLogger(__name__)
_WAITING = 500
_PER_BATCH = 50
_PAUSE_S = 0.5
_MAX_NAME = 100


class Rejections:
    """Writes refused events every half second; under a flood of them the oldest are dropped."""

    def __init__(self, overview: Overview, clock: Clock) -> None:
        self._overview = overview
        self._clock = clock
        self._waiting: deque[Rejection] = deque(maxlen=_WAITING)
        self._writing: asyncio.Task[None] | None = None

    def note(
        self,
        principal: Principal,
        refused: Iterable[tuple[Result, Mapping[str, Any] | None]],
    ) -> None:
        """Remember results of one batch that are refusals, each with the event's fields."""
        now_ms = self._clock.now_ms()
        for index, (result, fields) in enumerate(refused):
            if index == _PER_BATCH:
                break
            self._waiting.append(_rejection(principal, result, fields or {}, now_ms))
        if self._waiting and (self._writing is None or self._writing.done()):
            self._writing = asyncio.get_running_loop().create_task(self._write_later())

    async def flush(self) -> None:
        """Write what waits; what the store cannot take is dropped."""
        batch = list(self._waiting)
        self._waiting.clear()
        if batch:
            try:
                await asyncio.to_thread(self._overview.note, batch)
            except StoreError as exc:
                _LOG.warning("%d rejections are not remembered: %s", len(batch), exc)

    async def end(self) -> None:
        """Write what waits, then stop."""
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        await self.flush()

    async def _write_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(_PAUSE_S)
            await asyncio.shield(self.flush())


def _rejection(
    principal: Principal, result: Result, fields: Mapping[str, Any], now_ms: int
) -> Rejection:
    return Rejection(
        scope=principal.scope,
        at_ms=now_ms,
        username=principal.username,
        event_id=_plain(result.event_id),
        event_type=_plain(fields.get("event_type")),
        project_uuid=_plain(fields.get("project_uuid")),
        category=result.error_category or "unknown",
        reason=_plain(result.error, MAX_REASON) or "",
    )


def _plain(value: object, limit: int = _MAX_NAME) -> str | None:
    """Return text that every database takes: no NUL, no lone surrogate, not too long."""
    if not isinstance(value, str):
        return None
    return value[:limit].encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
