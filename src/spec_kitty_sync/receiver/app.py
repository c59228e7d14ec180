"""The ASGI app: its routes, and how every request ends: answered, counted, logged."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.batch import BatchEndpoint
from spec_kitty_sync.receiver.health import health
from spec_kitty_sync.receiver.hooks import TestHooks
from spec_kitty_sync.receiver.intake import discard_body
from spec_kitty_sync.receiver.live import LiveEndpoint
from spec_kitty_sync.receiver.logs import FIELDS
from spec_kitty_sync.receiver.missions import MissionPages
from spec_kitty_sync.receiver.operations import Operations
from spec_kitty_sync.receiver.page.pages import Pages
from spec_kitty_sync.receiver.parts import Parts, Reply, healthy
from spec_kitty_sync.receiver.reading import EventPages
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver
from spec_kitty_sync.receiver.settings import Settings
from spec_kitty_sync.receiver.tokens import TokenEndpoints

_LOG = logging.getLogger(__name__)
_ALLOWED = MappingProxyType({"GET": ("GET", "HEAD"), "*": ("GET", "HEAD", "POST")})
Handler = Callable[[Request], Awaitable[Response]]


def build_app(
    settings: Settings, *, parts: Parts | None = None, clock: Clock | None = None
) -> ASGIApp:
    """Return the receiver as an ASGI app; *parts* default to the healthy ones."""
    parts = parts or healthy(settings)
    return app_of(Receiver(settings, parts, clock or SystemClock()))


def app_of(receiver: Receiver) -> ASGIApp:
    """Return the ASGI app that answers for *receiver*."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await receiver.start()
        try:
            yield
        finally:
            await receiver.end()

    app = Starlette(
        routes=_routes(receiver),
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _http_exception(receiver),
            Exception: _unexpected(receiver),
        },
    )
    app.router.redirect_slashes = False
    return receiver.parts.wrap(app)


def _routes(receiver: Receiver) -> list[BaseRoute]:
    pages, missions = EventPages(receiver), MissionPages(receiver)
    tokens, operations = TokenEndpoints(receiver), Operations(receiver)

    async def health_page(request: Request) -> Response:
        return receiver.reply(Reply("health", 200, await health(receiver), {}))

    def route(name: str, path: str, handler: Handler, method: str = "GET") -> BaseRoute:
        return _route(receiver, name, path, handler, method)

    routes = [
        route("batch", "/api/v1/events/batch/", BatchEndpoint(receiver), "POST"),
        route("health", "/api/v1/sync/health/", health_page),
        route("events", "/api/v1/events/", pages.page),
        route("event", "/api/v1/events/{event_id}/", pages.one),
        route("missions", "/api/v1/missions/", missions.page),
        route("mission", "/api/v1/missions/{project_uuid}/{mission}/", missions.one),
        route("token", "/api/v1/token/", tokens.login, "POST"),
        route("refresh", "/api/v1/token/refresh/", tokens.refresh, "POST"),
        route("ws-token", "/api/v1/ws-token", tokens.live, "POST"),
        route("ready", "/ready", operations.ready),
        route("metrics", "/metrics", operations.metrics),
        WebSocketRoute("/api/v1/ws/", LiveEndpoint(receiver).talk),
    ]
    routes += [route(*each) for each in Pages(receiver).routes()]
    if receiver.settings.test_hooks:
        hooks = TestHooks(receiver)
        routes.append(route("restart", "/api/v1/testing/restart/", hooks.restart, "POST"))
        routes.append(route("reset", "/api/v1/testing/reset/", hooks.reset, "POST"))
    return routes


def _route(receiver: Receiver, name: str, path: str, handler: Handler, method: str) -> BaseRoute:
    """Return the route whose refusals are answered after the body has been read away."""
    allowed = _ALLOWED.get(method, (method,))

    async def answer(request: Request) -> Response:
        try:
            if request.method not in allowed:
                raise Refusal(
                    405, "the method is not allowed here", headers={"Allow": ", ".join(allowed)}
                )
            return await handler(request)
        except Refusal as refusal:
            return await _refuse(receiver, name, request, refusal)
        except StoreError as exc:
            _LOG.error("the store is unavailable: %s", exc)
            unavailable = Refusal(503, "the store is unavailable", headers={"Retry-After": "5"})
            return await _refuse(receiver, name, request, unavailable)
        except ClientDisconnect:
            return Response(status_code=400)

    async def endpoint(request: Request) -> Response:
        started_s, status = time.perf_counter(), 500
        try:
            response = await answer(request)
            status = response.status_code
            return response
        finally:
            seconds = time.perf_counter() - started_s
            receiver.metrics.request(name, status, seconds)
            told = getattr(request.state, "told", {})
            fields = {"route": name, "status": status, "ms": round(seconds * 1000, 1), **told}
            _LOG.info("request", extra={FIELDS: fields})

    route = Route(path, endpoint, name=name)
    route.methods = None  # a wrong method must not fall through to a later, looser path
    return route


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
        error = "no such page" if status == 404 else "refused"
        return await _refuse(receiver, "http", request, Refusal(status, error, headers=headers))

    return answer


def _unexpected(receiver: Receiver) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return the last line of defence: a JSON 500; the traceback goes to the server's log."""

    async def answer(request: Request, exc: Exception) -> Response:
        return receiver.refusal("http", Refusal(500, "internal error", close=True))

    return answer
