"""`GET /api/v1/events/`: the stored bytes of events, in the order they were stored."""

from __future__ import annotations

import asyncio
import json
import re

from starlette.requests import Request
from starlette.responses import Response

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync.receiver.principals import Principal
from spec_kitty_sync.receiver.refusal import Refusal, malformed
from spec_kitty_sync.receiver.service import Receiver
from spec_kitty_sync.receiver.store import StoredEvent

MAX_PAGE = 1000
_DEFAULT_PAGE = 100
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_SEQ = 2**63 - 1


class EventPages:
    """Pages of events and single events; each reader sees its own scope only."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def page(self, request: Request) -> Response:
        """Answer `?project_uuid=&after=&limit=`."""
        principal = self._receiver.authenticate(request.headers.get("authorization"))
        project_uuid = requested_project(request.query_params.get("project_uuid"), principal)
        limit = _number(request, "limit", default=_DEFAULT_PAGE, lowest=1, highest=MAX_PAGE)
        after = _number(request, "after", default=0, highest=_MAX_SEQ)
        page = await asyncio.to_thread(
            self._receiver.parts.store.page,
            principal.scope,
            project_uuid=project_uuid,
            after=after,
            limit=limit,
        )
        body = b'{"events":[%s],"next_after":%d,"more":%s}' % (
            b",".join(_entry(event) for event in page.events),
            page.events[-1].seq if page.events else after,
            b"true" if page.more else b"false",
        )
        return Response(body, media_type="application/json")

    async def one(self, request: Request) -> Response:
        """Answer one event by its id."""
        principal = self._receiver.authenticate(request.headers.get("authorization"))
        event_id = request.path_params["event_id"]
        event = await asyncio.to_thread(self._receiver.parts.store.event, principal.scope, event_id)
        if event is None or not may_see(principal, event):
            raise Refusal(404, "no such event")
        return Response(_entry(event), media_type="application/json")


def _entry(event: StoredEvent) -> bytes:
    """Return the entry with the event's own bytes in it, as they were received."""
    received_at = utc_iso(event.received_at_ms).encode()
    return b'{"seq":%d,"received_at":"%s","event":%s}' % (event.seq, received_at, event.body)


def may_see(principal: Principal, event: StoredEvent) -> bool:
    """Tell whether *principal* may read *event* of its scope."""
    if principal.projects is None:
        return True
    return str(json.loads(event.body)["project_uuid"]).lower() in principal.projects


def requested_project(value: str | None, principal: Principal) -> str | None:
    """Return the project to read, None for all that *principal* may see.

    Raises:
        Refusal: 400 for a malformed project, 403 for one that is not permitted.
    """
    if value is not None and not _UUID.fullmatch(value.lower()):
        raise malformed("project_uuid is not a UUID")
    project_uuid = value.lower() if value else None
    if principal.projects is not None and project_uuid not in principal.projects:
        raise Refusal(403, "name a project_uuid that this token may read")
    return project_uuid


def sequence_number(text: str) -> int:
    """Return *text* as a `seq`.

    Raises:
        Refusal: 400.
    """
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not 0 <= number <= _MAX_SEQ:
        raise malformed("the number of the last event is not one")
    return number


def _number(request: Request, name: str, *, default: int, highest: int, lowest: int = 0) -> int:
    text = request.query_params.get(name, str(default))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not lowest <= number <= highest:
        raise malformed(f"{name} is not a number from {lowest} to {highest}")
    return number
