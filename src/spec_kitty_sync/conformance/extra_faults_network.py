"""Faults of the network side: paths, connections, load; what a request meets on its way in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spec_kitty_sync.receiver.decide import Known, NewEvent, Result, Verdict
from spec_kitty_sync.receiver.parts import Parts, Reply

_MANY: Final = 20


def answers_any_path(parts: Parts) -> Parts:
    def wrap(app: ASGIApp) -> ASGIApp:
        inner = parts.wrap(app)

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            lost = scope["type"] == "http" and scope["path"].endswith("/events/batch")
            answer: ASGIApp = JSONResponse({"results": []}) if lost else inner
            await answer(scope, receive, send)

        return front

    return replace(parts, wrap=wrap)


def late_answers(parts: Parts) -> Parts:
    """Every tenth batch gets the answer of the one before."""
    number = itertools.count(1).__next__
    before: list[Any] = []

    def finish(reply: Reply) -> Reply:
        reply = parts.finish(reply)
        if reply.route != "batch" or reply.status != 200:
            return reply
        before.append(reply.content)
        return replace(reply, content=before[-2]) if number() % 10 == 0 else reply

    return replace(parts, finish=finish)


def dies_after_an_insult(parts: Parts) -> Parts:
    """The first valid batch after a 400 is answered 500."""
    hurt: list[bool] = []

    def finish(reply: Reply) -> Reply:
        reply = parts.finish(reply)
        if reply.route == "batch" and reply.status == 400:
            hurt.append(True)
        elif reply.route == "batch" and reply.status == 200 and hurt:
            hurt.clear()
            return replace(reply, status=500, content={"error": "worker died"})
        return reply

    return replace(parts, finish=finish)


def one_at_a_time(parts: Parts) -> Parts:
    """A batch that arrives while another is under way is answered 500, like a deadlock victim."""
    busy: list[bool] = []

    def wrap(app: ASGIApp) -> ASGIApp:
        inner = parts.wrap(app)

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or busy:
                answer: ASGIApp = JSONResponse({"error": "deadlock"}, 500) if busy else inner
                return await answer(scope, receive, send)
            busy.append(True)
            try:
                return await inner(scope, receive, send)
            finally:
                busy.clear()

        return front

    return replace(parts, wrap=wrap)


def forgets_per_connection(parts: Parts) -> Parts:
    """Remembers ids for as long as the connection that brought them, and no longer."""
    latest: list[object] = [None]
    seen: set[tuple[object, str]] = set()

    def decide(
        judged: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int
    ) -> list[Result]:
        here = latest[-1]
        mine = {name: one for name, one in known.items() if (here, name) in seen}
        seen.update((here, one.event_id) for one in judged if isinstance(one, NewEvent))
        return parts.decide(judged, mine, now_ms=now_ms)

    def wrap(app: ASGIApp) -> ASGIApp:
        inner = parts.wrap(app)

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            latest.append(scope.get("client"))
            await inner(scope, receive, send)

        return front

    return replace(parts, decide=decide, wrap=wrap)


def leaves_refused_bodies(parts: Parts) -> Parts:
    """Take what a refused request left on its connection for the head of the next one."""
    left: set[object] = set()

    def wrap(app: ASGIApp) -> ASGIApp:
        inner = parts.wrap(app)

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            client = scope.get("client")
            if client in left:
                left.discard(client)
                return await JSONResponse({"error": "no HTTP request"}, 400)(scope, receive, send)

            async def watched(message: Message) -> None:
                if message.get("status", 0) >= 400 and scope["method"] in {"POST", "PUT"}:
                    left.add(client)
                await send(message)

            return await inner(scope, receive, watched)

        return front

    return replace(parts, wrap=wrap)


def loses_under_load(parts: Parts) -> Parts:
    """Says success and stores nothing while more than twenty batches are under way."""
    under_way: list[bool] = []

    def fresh(judged: Iterable[Verdict]) -> list[NewEvent]:
        return [] if len(under_way) > _MANY else parts.fresh(judged)

    def wrap(app: ASGIApp) -> ASGIApp:
        inner = parts.wrap(app)

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            under_way.append(True)
            try:
                await inner(scope, receive, send)
            finally:
                under_way.pop()

        return front

    return replace(parts, fresh=fresh, wrap=wrap)


def one_reader(parts: Parts) -> Parts:
    """Reads one request at a time, to its end, however slowly it comes."""

    def wrap(app: ASGIApp) -> ASGIApp:
        inner = parts.wrap(app)
        turn = asyncio.Lock()

        async def front(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await inner(scope, receive, send)
            async with turn:
                return await inner(scope, receive, send)

        return front

    return replace(parts, wrap=wrap)
