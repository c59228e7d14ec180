"""`/`, `/boards`, `/rejected`, `/events/{id}`: what a person sees of their own scope."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.overview import Project
from spec_kitty_sync.receiver.page import views
from spec_kitty_sync.receiver.page.html import Html, html
from spec_kitty_sync.receiver.page.query import wanted_events
from spec_kitty_sync.receiver.page.sessions import Sessions
from spec_kitty_sync.receiver.page.stream import EventStream
from spec_kitty_sync.receiver.principals import Principal
from spec_kitty_sync.receiver.reading import may_see, requested_project
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver

Handler = Callable[[Request], Awaitable[Response]]
_LISTED = 100
_BOARDS = 60
_STATIC = {"page.css": "text/css", "page.js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """HTML for the browser; every page but the login needs a session."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._sessions = Sessions(receiver)
        self._stream = EventStream(receiver, self._sessions)
        folder = files("spec_kitty_sync.receiver.page")
        self._static = {name: (folder / name).read_bytes() for name in _STATIC}

    def routes(self) -> list[tuple[str, str, Handler, str]]:
        """Return name, path, handler and method of each."""
        return [
            ("page", "/", self._shown(self._events), "GET"),
            ("page", "/boards", self._shown(self._boards), "GET"),
            ("page", "/rejected", self._shown(self._rejected), "GET"),
            ("page", "/events/{event_id}", self._shown(self._event), "GET"),
            ("page", "/login", self._shown(self._login), "*"),
            ("page", "/logout", self._shown(self._sessions.log_out), "POST"),
            ("live", "/live", self._stream.answer, "GET"),
            ("static", "/static/{name}", self._asset, "GET"),
        ]

    def _shown(self, handler: Handler) -> Handler:
        """Return *handler* with its refusals as pages."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as refusal:
                if refusal.status == 401 and request.url.path != "/login":
                    return RedirectResponse("/login", 303, HEADERS)
                return _page("Refused", _sorry(refusal.error), status=refusal.status)
            except StoreError:
                error = _sorry("The store does not answer; try again in a moment.")
                return _page("Unavailable", error, status=503)

        return answer

    async def _events(self, request: Request) -> Response:
        principal = self._sessions.principal(request)
        wanted = wanted_events(request, principal)
        overview, scope = self._receiver.overview, principal.scope
        newest = await asyncio.to_thread(overview.newest_seq, scope)
        seen = await asyncio.to_thread(overview.recent, scope, wanted, after=0, limit=_LISTED)
        choices = await asyncio.to_thread(overview.choices, scope)
        live = urlencode({**request.query_params, "after": newest})
        content = views.events(
            seen,
            wanted=wanted,
            choices=choices,
            projects=await self._projects(principal),
            live=f"/live?{live}",
        )
        return _page("Events", content, here="/", principal=principal)

    async def _boards(self, request: Request) -> Response:
        principal = self._sessions.principal(request)
        projects = await self._projects(principal)
        chosen = request.query_params.get("project") or next(iter(projects), None)
        if chosen is None:
            content = html('<h2>Boards</h2><p class="quiet">No events yet.</p>')
            return _page("Boards", content, here="/boards", principal=principal)
        project_uuid = requested_project(chosen, principal)
        found = await asyncio.to_thread(
            self._receiver.boards.of_project, principal.scope, str(project_uuid)
        )
        content = views.boards(
            [each.full() for each in found[:_BOARDS]], projects, chosen, hidden=len(found) - _BOARDS
        )
        return _page("Boards", content, here="/boards", principal=principal)

    async def _rejected(self, request: Request) -> Response:
        principal = self._sessions.principal(request)
        found = await asyncio.to_thread(
            self._receiver.overview.rejections, principal.scope, limit=_LISTED
        )
        if principal.projects is not None:
            found = [each for each in found if each.username == principal.username]
        return _page("Rejected", views.rejected(found), here="/rejected", principal=principal)

    async def _event(self, request: Request) -> Response:
        principal = self._sessions.principal(request)
        event_id = request.path_params["event_id"]
        store = self._receiver.parts.store
        found = await asyncio.to_thread(store.event, principal.scope, event_id)
        if found is None or not may_see(principal, found):
            raise Refusal(404, "There is no such event.")
        facts = {
            "Id": found.event_id,
            "Received": utc_iso(found.received_at_ms),
            "Number": str(found.seq),
        }
        body = json.dumps(json.loads(found.body), indent=2, ensure_ascii=False)
        return _page(event_id, views.event(facts, body), here="", principal=principal)

    async def _login(self, request: Request) -> Response:
        if self._receiver.settings.open_to_all:
            return RedirectResponse("/", 303, HEADERS)
        if request.method == "GET":
            return _page("Log in", views.login(None))
        try:
            return await self._sessions.log_in(request)
        except Refusal as refusal:
            return _page("Log in", views.login(refusal.error), status=refusal.status)

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            raise Refusal(404, "no such page")
        media_type = f"{_STATIC[name]}; charset=utf-8"
        headers = {**HEADERS, "Content-Type": media_type, "Cache-Control": "no-cache"}
        return Response(self._static[name], headers=headers)

    async def _projects(self, principal: Principal) -> dict[str, str]:
        """Return the projects that *principal* may see with their names, the newest first."""
        found = await asyncio.to_thread(self._receiver.overview.projects, principal.scope)
        found.sort(key=lambda each: each.newest_seq, reverse=True)
        allowed = principal.projects
        return {
            each.project_uuid: _project_name(each)
            for each in found
            if allowed is None or each.project_uuid in allowed
        }


def _project_name(project: Project) -> str:
    slug = json.loads(project.newest_body).get("project_slug")
    return f"{slug} ({project.project_uuid[:8]})" if slug else project.project_uuid


def _page(
    title: str,
    content: Html,
    *,
    here: str = "",
    principal: Principal | None = None,
    status: int = 200,
) -> Response:
    body = views.document(title, content, here=here, principal=principal)
    return Response(body.encode("utf-8", "replace"), status, HEADERS, "text/html")


def _sorry(error: str) -> Html:
    back = Html('<p><a href="/">Events</a></p>')
    return html("<h2>That did not work</h2><p>{error}</p>{back}", error=error, back=back)
