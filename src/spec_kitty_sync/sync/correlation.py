"""Which mission execution an event belongs to (CONTRACT 6, Identity)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from spec_kitty_sync._clock import IdSource

_KNOWN = "SELECT correlation_id FROM sync_correlation WHERE project = ? AND mission = ?"
_LATEST = "SELECT correlation_id FROM sync_correlation WHERE project = ? ORDER BY id DESC LIMIT 1"
_STORE = """
INSERT INTO sync_correlation (project, mission, correlation_id) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET correlation_id = excluded.correlation_id
"""
_FORGET = """
DELETE FROM sync_correlation
WHERE project = ?1 AND (mission = ?2 OR (mission = '' AND correlation_id = ?3))
"""
_ALL = "SELECT project, mission, correlation_id FROM sync_correlation ORDER BY id"
_TERMINAL = frozenset({"MissionCompleted", "MissionCancelled", "FeatureCompleted"})
_NAMES = ("mission_id", "feature_slug", "mission_slug")


def mission_of(payload: Mapping[str, Any]) -> str:
    """Return the mission that *payload* names, `""` where it names none."""
    for name in _NAMES:
        value = payload.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def merge_correlations(draft: sqlite3.Connection, live: sqlite3.Connection) -> None:
    """Take the missions that are under way in *live* into *draft*, a restored copy."""
    draft.executemany(_STORE, live.execute(_ALL))


class Correlations:
    """One id per project and mission from its first event until a terminal one."""

    def __init__(self, new_id: IdSource, *, chosen: str | None = None) -> None:
        self._new_id = new_id
        self.chosen = chosen

    def of(
        self, conn: sqlite3.Connection, project: str, mission: str, *, stated: str | None
    ) -> str:
        """Return the id for an event, in the transaction that appends it.

        An event that names no mission belongs to the one of this project that began last.
        """
        chosen = stated or self.chosen
        if chosen is not None:
            return chosen
        row = conn.execute(_KNOWN, (project, mission)).fetchone()
        if row is None and not mission:
            row = conn.execute(_LATEST, (project,)).fetchone()
        if row is not None:
            return str(row[0])
        fresh = self._new_id()
        conn.execute(_STORE, (project, mission, fresh))
        return fresh

    def forget_terminal(
        self, conn: sqlite3.Connection, project: str, event_type: str, *, mission: str, used: str
    ) -> None:
        """End the mission's id after the event that ends the mission."""
        if event_type in _TERMINAL:
            conn.execute(_FORGET, (project, mission, used))
