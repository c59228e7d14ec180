"""Boards that are computed again only when their project has new events."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.receiver.boards import BOARD_TYPES, Board, boards
from spec_kitty_sync.receiver.overview import Overview
from spec_kitty_sync.receiver.store import EventStore

_PROJECTS = 200
_SLOW_S = 1.0
_REST = 5


@dataclass
class _Known:
    """The boards of one project: as of which `seq`, since when, and what they cost."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    boards: list[Board] | None = None
    seq: int = 0
    made_at_s: float = 0.0
    took_s: float = 0.0


class BoardCache:
    """The boards of the projects that were asked for last; any thread may ask.

    Boards that take longer than a second are shown for five times as long before they are made
    anew, so that a busy large project leaves the processor to its events.
    """

    def __init__(self, store: EventStore, overview: Overview, clock: Clock) -> None:
        self._store = store
        self._overview = overview
        self._clock = clock
        self._lock = threading.Lock()
        self._projects: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    def of_project(self, scope: str, project_uuid: str) -> list[Board]:
        """Return the boards of one project; those of a large one may be a little old."""
        known = self._known(scope, project_uuid)
        with known.lock:
            age_s = self._clock.monotonic_s() - known.made_at_s
            resting = known.took_s > _SLOW_S and age_s < known.took_s * _REST
            if known.boards is not None and resting:
                return known.boards
            newest = self._overview.project_seq(scope, project_uuid)
            if known.boards is None or known.seq != newest:
                started_s = self._clock.monotonic_s()
                known.boards = self._made(scope, project_uuid)
                # What was stored since the question is in the boards; the next look is anew.
                known.seq = newest
                known.made_at_s = self._clock.monotonic_s()
                known.took_s = known.made_at_s - started_s
            return known.boards

    def of_all(self, scope: str) -> list[Board]:
        """Return the boards of every project of *scope*, in order of project and mission."""
        projects = [each.project_uuid for each in self._overview.projects(scope)]
        return [each for project in projects for each in self.of_project(scope, project)]

    def forget(self) -> None:
        """Compute everything anew."""
        with self._lock:
            self._projects.clear()

    def _known(self, scope: str, project_uuid: str) -> _Known:
        key = (scope, project_uuid)
        with self._lock:
            known = self._projects.setdefault(key, _Known())
            self._projects.move_to_end(key)
            while len(self._projects) > _PROJECTS:
                self._projects.popitem(last=False)
            return known

    def _made(self, scope: str, project_uuid: str) -> list[Board]:
        bodies = self._store.bodies_of_types(scope, BOARD_TYPES, project_uuid=project_uuid)
        return boards(Event.from_wire(body) for body in bodies)
