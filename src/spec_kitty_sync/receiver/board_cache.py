"""Boards that are computed again only when their project has new events."""

from __future__ import annotations

import threading
from collections import OrderedDict

from spec_kitty_sync.events.models import Event
from spec_kitty_sync.receiver.boards import BOARD_TYPES, Board, boards
from spec_kitty_sync.receiver.overview import Overview
from spec_kitty_sync.receiver.store import EventStore

_PROJECTS = 200


class BoardCache:
    """The boards of the projects that were asked for last; any thread may ask."""

    def __init__(self, store: EventStore, overview: Overview) -> None:
        self._store = store
        self._overview = overview
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[int, list[Board]]] = OrderedDict()

    def of_project(self, scope: str, project_uuid: str) -> list[Board]:
        """Return the boards of one project as of now."""
        newest = self._overview.project_seq(scope, project_uuid)
        key = (scope, project_uuid)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == newest:
            return known[1]
        bodies = self._store.bodies_of_types(scope, BOARD_TYPES, project_uuid=project_uuid)
        found = boards(Event.from_wire(body) for body in bodies)
        with self._lock:
            # What was stored between the two questions is in the boards; the next look is anew.
            self._known[key] = (newest, found)
            self._known.move_to_end(key)
            while len(self._known) > _PROJECTS:
                self._known.popitem(last=False)
        return found

    def of_all(self, scope: str) -> list[Board]:
        """Return the boards of every project of *scope*, in order of project and mission."""
        projects = [each.project_uuid for each in self._overview.projects(scope)]
        return [each for project in projects for each in self.of_project(scope, project)]

    def forget(self) -> None:
        """Compute everything anew."""
        with self._lock:
            self._known.clear()
