"""Missions and their boards, computed from events with the contract's reducers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spec_kitty_sync.events.lifecycle import ReducedMissionState, reduce_lifecycle_events
from spec_kitty_sync.events.mission_payloads import MISSION_EVENT_TYPES, WP_STATUS_CHANGED
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.ordering import partition_by_mission, sort_events

_WP_CREATED = "WPCreated"
BOARD_TYPES = frozenset({*MISSION_EVENT_TYPES, WP_STATUS_CHANGED, _WP_CREATED})
"""The event types that a board is made of; no other event changes one."""

NO_MISSION = "-"
"""Stands in paths for events that name no mission."""


@dataclass(frozen=True, slots=True)
class Board:
    """One mission: what the reducers make of it, and the titles of its work packages."""

    project_uuid: str
    mission: str | None
    state: ReducedMissionState
    titles: Mapping[str, str]

    def summary(self) -> dict[str, Any]:
        """Return the mission in one line of the list."""
        lanes = self.lanes()
        return {
            "project_uuid": self.project_uuid,
            "mission": self.mission,
            "mission_id": self.state.mission_id,
            "mission_type": self.state.mission_type,
            "status": self.state.mission_status,
            "phase": self.state.current_phase,
            "lanes": {lane: len(ids) for lane, ids in lanes.items()},
            "event_count": self.state.event_count,
            "anomaly_count": len(self.state.anomalies),
        }

    def full(self) -> dict[str, Any]:
        """Return the whole board."""
        return {
            **self.summary(),
            "phases_entered": list(self.state.phases_entered),
            "lanes": self.lanes(),
            "work_packages": [self._work_package(wp_id) for wp_id in sorted(self._wp_ids())],
            "anomalies": [each.model_dump(mode="json") for each in self.state.anomalies],
            "last_processed_event_id": self.state.last_processed_event_id,
        }

    def lanes(self) -> dict[str, list[str]]:
        """Return the work packages by lane; one that was created and never moved is planned."""
        lanes: dict[str, list[str]] = {}
        for wp_id in sorted(self._wp_ids()):
            lanes.setdefault(self._lane(wp_id), []).append(wp_id)
        return lanes

    def _wp_ids(self) -> set[str]:
        return {*self.state.wp_states, *self.titles}

    def _lane(self, wp_id: str) -> str:
        state = self.state.wp_states.get(wp_id)
        return str(state.current_lane.value) if state else "planned"

    def _work_package(self, wp_id: str) -> dict[str, Any]:
        state = self.state.wp_states.get(wp_id)
        since = state.model_dump(mode="json", exclude={"wp_id", "current_lane"}) if state else {}
        return {
            "wp_id": wp_id,
            "title": self.titles.get(wp_id),
            "lane": self._lane(wp_id),
            **since,
        }


def boards(events: Iterable[Event]) -> list[Board]:
    """Return the board of each mission that *events* belong to, in order of project and name."""
    parts = partition_by_mission(events)
    found = [_board(project, mission, part) for (project, mission), part in parts.items()]
    return sorted(found, key=lambda each: (each.project_uuid, each.mission or ""))


def _board(project_uuid: str | None, mission: str | None, events: list[Event]) -> Board:
    titles: dict[str, str] = {}
    for event in sort_events(event for event in events if event.event_type == _WP_CREATED):
        wp_id, title = event.payload.get("wp_id"), event.payload.get("title")
        if isinstance(wp_id, str):
            titles[wp_id] = title if isinstance(title, str) else wp_id
    return Board((project_uuid or "").lower(), mission, reduce_lifecycle_events(events), titles)
