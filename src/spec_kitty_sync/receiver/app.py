"""The ASGI app: routes, and every answer a JSON object."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.batch import BatchEndpoint
from spec_kitty_sync.receiver.health import health
from spec_kitty_sync.receiver.intake import discard_body
from spec_kitty_sync.receiver.parts import Parts, Reply, healthy
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver
from spec_kitty_sync.receiver.settings import Settings

Handler = Callable[[Request], Awaitable[Response]]


def build_app(
    settings: Settings, *, parts: Parts | None = None, clock: Clock | None = None
) -> ASGIApp:
    """Return the receiver as an ASGI app; *parts* default to the healthy ones."""
    parts = parts or healthy(settings)
    receiver = Receiver(settings, parts, clock or SystemClock())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await receiver.start()
        try:
            yield
        finally:
            await receiver.stop()

    async def health_page(request: Request) -> Response:
        return receiver.reply(Reply("health", 200, health(receiver), {}))

    app = Starlette(
        routes=[
            _route(receiver, "batch", "/api/v1/events/batch/", BatchEndpoint(receiver), "POST"),
            _route(receiver, "health", "/api/v1/sync/health/", health_page, "GET"),
        ],
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _http_exception(receiver),
            Exception: _unexpected(receiver),
        },
    )
    app.router.redirect_slashes = False
    return parts.wrap(app)


def _route(receiver: Receiver, name: str, path: str, handler: Handler, method: str) -> Route:
    """Return the route whose refusals are answered after the body has been read away."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return await _refuse(receiver, name, request, refusal)
        except StoreError:
            unavailable = Refusal(503, "the store is unavailable", headers={"Retry-After": "5"})
            return await _refuse(receiver, name, request, unavailable)
        except ClientDisconnect:
            return Response(status_code=400)

    return Route(path, endpoint, methods=[method], name=name)


async def _refuse(receiver: Receiver, name: str, request: Request, refusal: Refusal) -> Response:
    try:
        if not refusal.close and not await discard_body(request, receiver.parts.limits):
            refusal.close = True
    except ClientDisconnect:
        refusal.close = True
    return receiver.refusal(name, refusal)


def _http_exception(receiver: Receiver) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, exc: Exception) -> Response:
        status = exc.status_code if isinstance(exc, HTTPException) else 500
        headers = exc.headers if isinstance(exc, HTTPException) else None
        error = {404: "no such page", 405: "the method is not allowed here"}.get(status, "refused")
        return await _refuse(receiver, "http", request, Refusal(status, error, headers=headers))

    return answer


def _unexpected(receiver: Receiver) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return the last line of defence: a JSON 500; the traceback goes to the server's log."""

    async def answer(request: Request, exc: Exception) -> Response:
        return receiver.refusal("http", Refusal(500, "internal error", close=True))

    return answer
