"""`GET /api/v1/missions/`: the boards of what is stored."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from spec_kitty_sync.receiver.boards import NO_MISSION, Board
from spec_kitty_sync.receiver.parts import Reply
from spec_kitty_sync.receiver.reading import requested_project
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.service import Receiver


class MissionPages:
    """The list of missions and each one's board."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def page(self, request: Request) -> Response:
        """Answer `?project_uuid=` with one line per mission."""
        principal = self._receiver.authenticate(request.headers.get("authorization"))
        project_uuid = requested_project(request.query_params.get("project_uuid"), principal)
        found = await asyncio.to_thread(self._boards, principal.scope, project_uuid)
        content = {"missions": [each.summary() for each in found]}
        return self._receiver.reply(Reply("missions", 200, content, {}))

    async def one(self, request: Request) -> Response:
        """Answer one board; the mission is its slug, its id, or `-` for none."""
        principal = self._receiver.authenticate(request.headers.get("authorization"))
        project_uuid = requested_project(request.path_params["project_uuid"], principal)
        found = await asyncio.to_thread(self._boards, principal.scope, project_uuid)
        name = request.path_params["mission"]
        for board in found:
            if name in (board.mission or NO_MISSION, board.state.mission_id):
                return self._receiver.reply(Reply("mission", 200, board.full(), {}))
        raise Refusal(404, "no such mission")

    def _boards(self, scope: str, project_uuid: str | None) -> list[Board]:
        if project_uuid is None:
            return self._receiver.boards.of_all(scope)
        return self._receiver.boards.of_project(scope, project_uuid)
