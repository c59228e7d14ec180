"""What a page's address asks for."""

from __future__ import annotations

from starlette.requests import Request

from spec_kitty_sync.receiver.overview import Filter
from spec_kitty_sync.receiver.principals import Principal
from spec_kitty_sync.receiver.reading import requested_project


def wanted_events(request: Request, principal: Principal) -> Filter:
    """Return the filter that the query asks for.

    Raises:
        Refusal: 400 for a malformed project, 403 for one that is not permitted.
    """
    asked = request.query_params
    project = asked.get("project") or None
    if project is None and principal.projects is not None:
        project = min(principal.projects, default=None)
    return Filter(
        project_uuid=requested_project(project, principal),
        event_type=asked.get("type") or None,
        mission=asked.get("mission") or None,
        team=asked.get("team") or None,
    )
