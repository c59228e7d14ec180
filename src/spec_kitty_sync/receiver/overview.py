"""What the page shows beside the boards: newest events by filter, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spec_kitty_sync.receiver.database import Database

WINDOW = 10_000
"""Filters look at that many of the newest events; more would read the whole store."""
KEPT_REJECTIONS = 1000
"""So many refused events are remembered per scope."""

_NEWEST_SEQ = "SELECT coalesce(max(seq), 0) FROM receiver_events WHERE scope = ?"

_PROJECT_SEQ = """
SELECT coalesce(max(seq), 0) FROM receiver_events WHERE scope = ? AND project_uuid = ?
"""

# The bodies are read only of what is shown; the inner question looks at small columns.
_RECENT = """
SELECT seq, event_id, event_type, project_uuid, mission, team, received_at_ms, body
FROM receiver_events WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, event_type, mission, team FROM receiver_events
        WHERE scope = ? AND seq > ? ORDER BY seq DESC LIMIT ?
    ) AS newest
    WHERE (CAST(? AS TEXT) IS NULL OR event_type = ?)
      AND (CAST(? AS TEXT) IS NULL OR mission = ?)
      AND (CAST(? AS TEXT) IS NULL OR team = ?)
    ORDER BY seq DESC LIMIT ?
)
ORDER BY seq DESC
"""

_PROJECT_RECENT = """
SELECT seq, event_id, event_type, project_uuid, mission, team, received_at_ms, body
FROM receiver_events WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, event_type, mission, team FROM receiver_events
        WHERE scope = ? AND project_uuid = ? AND seq > ? ORDER BY seq DESC LIMIT ?
    ) AS newest
    WHERE (CAST(? AS TEXT) IS NULL OR event_type = ?)
      AND (CAST(? AS TEXT) IS NULL OR mission = ?)
      AND (CAST(? AS TEXT) IS NULL OR team = ?)
    ORDER BY seq DESC LIMIT ?
)
ORDER BY seq DESC
"""

_KINDS = """
SELECT DISTINCT event_type, mission, team FROM (
    SELECT event_type, mission, team FROM receiver_events
    WHERE scope = ? ORDER BY seq DESC LIMIT ?
) AS newest
"""

# Jumps from project to project along the index instead of reading every event.
_PROJECTS = """
WITH RECURSIVE project (project_uuid) AS (
    SELECT min(project_uuid) FROM receiver_events WHERE scope = ?
    UNION ALL
    SELECT (
        SELECT min(project_uuid) FROM receiver_events
        WHERE scope = ? AND project_uuid > project.project_uuid
    )
    FROM project WHERE project.project_uuid IS NOT NULL
)
SELECT project_uuid, (
    SELECT max(seq) FROM receiver_events
    WHERE scope = ? AND project_uuid = project.project_uuid
), (
    SELECT body FROM receiver_events
    WHERE scope = ? AND project_uuid = project.project_uuid ORDER BY seq DESC LIMIT 1
)
FROM project WHERE project_uuid IS NOT NULL ORDER BY project_uuid
"""

_NOTE = """
INSERT INTO receiver_rejections
    (scope, at_ms, username, event_id, event_type, project_uuid, category, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_TRIM = """
DELETE FROM receiver_rejections WHERE scope = ? AND number <= (
    SELECT number FROM receiver_rejections WHERE scope = ? ORDER BY number DESC LIMIT 1 OFFSET ?
)
"""

_REJECTIONS = """
SELECT scope, at_ms, username, event_id, event_type, project_uuid, category, reason
FROM receiver_rejections WHERE scope = ? ORDER BY number DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted; None is no condition."""

    project_uuid: str | None = None
    event_type: str | None = None
    mission: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event as the list shows it; `body` holds the bytes as they were received."""

    seq: int
    event_id: str
    event_type: str
    project_uuid: str
    mission: str | None
    team: str | None
    received_at_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Project:
    """A project that has events, and the newest of them."""

    project_uuid: str
    newest_seq: int
    newest_body: bytes


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that was refused, without its payload; fields None where nothing readable stood."""

    scope: str
    at_ms: int
    username: str
    event_id: str | None
    event_type: str | None
    project_uuid: str | None
    category: str
    reason: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What the newest events can be filtered by, each sorted."""

    event_types: tuple[str, ...]
    missions: tuple[str, ...]
    teams: tuple[str, ...]


class Overview:
    """Questions about one scope; each costs the same however many events are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_seq(self, scope: str) -> int:
        """Return the `seq` of the newest event; 0 without events."""
        return int(self._database.rows(_NEWEST_SEQ, (scope,))[0][0])

    def project_seq(self, scope: str, project_uuid: str) -> int:
        """Return the `seq` of the newest event of a project; 0 without events."""
        return int(self._database.rows(_PROJECT_SEQ, (scope, project_uuid))[0][0])

    def recent(self, scope: str, wanted: Filter, *, after: int, limit: int) -> list[SeenEvent]:
        """Return the newest events behind *after* that match, newest first."""
        named = (wanted.event_type, wanted.mission, wanted.team)
        conditions = [value for value in named for _ in range(2)]  # each stands twice in the query
        window = WINDOW if any(named) else limit
        if wanted.project_uuid is None:
            values: tuple[object, ...] = (scope, after, window, *conditions, limit)
            rows = self._database.rows(_RECENT, values)
        else:
            values = (scope, wanted.project_uuid, after, window, *conditions, limit)
            rows = self._database.rows(_PROJECT_RECENT, values)
        return [SeenEvent(*row) for row in rows]

    def choices(self, scope: str) -> Choices:
        """Return what the newest events can be filtered by."""
        rows = self._database.rows(_KINDS, (scope, WINDOW))
        types, missions, teams = (
            tuple(sorted({row[column] for row in rows if row[column] is not None}))
            for column in range(3)
        )
        return Choices(types, missions, teams)

    def projects(self, scope: str) -> list[Project]:
        """Return the projects that have events, in order of their ids."""
        return [Project(*row) for row in self._database.rows(_PROJECTS, (scope,) * 4)]

    def note(self, rejections: Sequence[Rejection]) -> None:
        """Remember *rejections*, and forget those beyond `KEPT_REJECTIONS` of their scopes."""
        self._database.change_many(
            _NOTE,
            [
                (
                    each.scope,
                    each.at_ms,
                    each.username,
                    each.event_id,
                    each.event_type,
                    each.project_uuid,
                    each.category,
                    each.reason,
                )
                for each in rejections
            ],
        )
        for scope in {each.scope for each in rejections}:
            self._database.change(_TRIM, (scope, scope, KEPT_REJECTIONS))

    def rejections(self, scope: str, *, limit: int) -> list[Rejection]:
        """Return what was refused, newest first."""
        return [Rejection(*row) for row in self._database.rows(_REJECTIONS, (scope, limit))]
