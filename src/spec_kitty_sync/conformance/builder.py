"""Valid events with fresh ids: the raw material of every check."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ulid import ULID

from spec_kitty_sync.events.lanes import Lane

JsonObject = dict[str, Any]

EVIDENCE: JsonObject = {
    "repos": [{"repo": "spec-kitty", "branch": "main", "commit": "4f2a9c1"}],
    "verification": [{"command": "make test", "result": "passed"}],
    "review": {"reviewer": "robin", "verdict": "approved"},
}

LANES = tuple(lane.value for lane in Lane)


@dataclass(frozen=True)
class Example:
    """One valid payload of a type: what it must hold, and what it may hold besides."""

    event_type: str
    aggregate_type: str
    aggregate_id: str
    required: Mapping[str, Any]
    optional: Mapping[str, Any] = field(default_factory=dict)
    shape: str = ""

    @property
    def name(self) -> str:
        return f"{self.event_type}.{self.shape}" if self.shape else self.event_type


_GATE: JsonObject = {
    "gate_name": "unit-tests",
    "gate_type": "ci",
    "external_provider": "github",
    "check_run_id": 4711,
    "check_run_url": "https://ci.example/runs/4711",
    "delivery_id": "d-1",
}

EXAMPLES: tuple[Example, ...] = (
    Example(
        "WPStatusChanged",
        "WorkPackage",
        "WP01",
        {
            "feature_slug": "001-kit",
            "wp_id": "WP01",
            "from_lane": "planned",
            "to_lane": "claimed",
            "actor": "robin",
            "force": False,
            "execution_mode": "worktree",
        },
        {"reason": "first look", "review_ref": "r-1", "evidence": EVIDENCE},
        "status_transition",
    ),
    Example(
        "WPStatusChanged",
        "WorkPackage",
        "WP01",
        {"wp_id": "WP01", "to_lane": "claimed"},
        {"from_lane": "planned", "actor": "robin", "feature_slug": "001-kit"},
        "sync_status",
    ),
    Example(
        "WPStatusChanged",
        "WorkPackage",
        "WP01",
        {"wp_id": "WP01", "previous_status": "planned", "new_status": "doing"},
        {"changed_by": "robin", "feature_slug": "001-kit"},
        "legacy_status",
    ),
    Example(
        "WPCreated",
        "WorkPackage",
        "WP01",
        {"wp_id": "WP01", "title": "Build the kit", "feature_slug": "001-kit"},
        {"dependencies": ["WP02", "WP103"]},
    ),
    Example(
        "WPAssigned",
        "WorkPackage",
        "WP01",
        {"wp_id": "WP01", "agent_id": "agent-7", "phase": "implementation"},
        {"retry_count": 2},
    ),
    Example(
        "FeatureCreated",
        "Feature",
        "001-kit",
        {
            "feature_slug": "001-kit",
            "feature_number": "001",
            "target_branch": "main",
            "wp_count": 3,
        },
        {"created_at": "2026-02-01T10:00:00Z"},
    ),
    Example(
        "FeatureCompleted",
        "Feature",
        "001-kit",
        {"feature_slug": "001-kit", "total_wps": 3},
        {"completed_at": "2026-02-02T10:00:00Z", "total_duration": "1 day"},
    ),
    Example(
        "HistoryAdded",
        "WorkPackage",
        "WP01",
        {"wp_id": "WP01", "entry_type": "note", "entry_content": "Looked at it."},
        {"author": "robin"},
    ),
    Example(
        "ErrorLogged",
        "WorkPackage",
        "WP01",
        {"error_type": "runtime", "error_message": "exit status 2"},
        {"wp_id": "WP01", "stack_trace": "at line 3", "agent_id": "agent-7"},
    ),
    Example(
        "DependencyResolved",
        "WorkPackage",
        "WP01",
        {"wp_id": "WP01", "dependency_wp_id": "WP02", "resolution_type": "completed"},
    ),
    Example(
        "MissionStarted",
        "Mission",
        "m-001",
        {
            "mission_id": "m-001",
            "mission_type": "software-dev",
            "initial_phase": "specify",
            "actor": "robin",
        },
    ),
    Example(
        "MissionCompleted",
        "Mission",
        "m-001",
        {
            "mission_id": "m-001",
            "mission_type": "software-dev",
            "final_phase": "review",
            "actor": "robin",
        },
    ),
    Example(
        "MissionCancelled",
        "Mission",
        "m-001",
        {"mission_id": "m-001", "reason": "superseded", "actor": "robin"},
        {"cancelled_wp_ids": ["WP01", "WP02"]},
    ),
    Example(
        "PhaseEntered",
        "Mission",
        "m-001",
        {"mission_id": "m-001", "phase_name": "plan", "actor": "robin"},
        {"previous_phase": "specify"},
    ),
    Example(
        "ReviewRollback",
        "Mission",
        "m-001",
        {
            "mission_id": "m-001",
            "review_ref": "r-1",
            "target_phase": "implement",
            "actor": "robin",
        },
        {"affected_wp_ids": ["WP01"]},
    ),
    Example(
        "GatePassed",
        "WorkPackage",
        "WP01",
        {**_GATE, "conclusion": "success"},
        {"pr_number": 12},
    ),
    Example(
        "GateFailed",
        "WorkPackage",
        "WP01",
        {**_GATE, "conclusion": "timed_out"},
        {"pr_number": 12},
    ),
)


def example(name: str) -> Example:
    """Return the example called *name* (event type, or type and shape with a dot)."""
    return next(found for found in EXAMPLES if name in {found.name, found.event_type})


@dataclass(frozen=True)
class Namespace:
    """Everything that keeps one run's events apart from all others on the same receiver.

    Ids derive from seed, check and attempt; their time part is the start of the run, so a
    repeated seed never meets its own duplicates.
    """

    seed: str
    started_ms: int

    @property
    def label(self) -> str:
        """Eight characters that appear in project slugs and node ids of this run."""
        return hashlib.sha256(self.seed.encode()).hexdigest()[:8]

    def digest(self, *parts: object) -> bytes:
        """Return 32 bytes that depend on the seed and *parts* only."""
        text = "\x1f".join([self.seed, *map(str, parts)])
        return hashlib.sha256(text.encode("utf-8")).digest()

    def ulid(self, *parts: object) -> str:
        """Return the ULID of *parts*."""
        return str(ULID.from_bytes(self.started_ms.to_bytes(6, "big") + self.digest(*parts)[:10]))

    def project_uuid(self, number: int = 0) -> str:
        """Return the UUID v4 of this run's project *number*."""
        return str(uuid.UUID(bytes=self.digest("project", number)[:16], version=4))


class Builder:
    """Builds events of one check; every call gives an event with a new id and clock."""

    def __init__(self, namespace: Namespace, scope: str) -> None:
        self.namespace = namespace
        self._scope = scope
        # A node of its own per check: clocks start anew without going back on anyone.
        self._node_id = namespace.label[:4] + namespace.digest("node", scope).hex()[:8]
        self._count: Callable[[], int] = itertools.count(1).__next__

    def new_id(self) -> str:
        """Return a ULID that nobody has seen."""
        return self.namespace.ulid(self._scope, self._count())

    def event(
        self,
        name: str = "HistoryAdded",
        *,
        maximal: bool = False,
        **edits: Any,
    ) -> JsonObject:
        """Return a valid event of the example *name*; *edits* replace envelope fields."""
        found = example(name)
        number = self._count()
        namespace = self.namespace
        payload = {**found.required, **(found.optional if maximal else {})}
        moment = datetime.fromtimestamp(namespace.started_ms / 1000, UTC)
        event: JsonObject = {
            "event_id": namespace.ulid(self._scope, number),
            "event_type": found.event_type,
            "aggregate_id": found.aggregate_id,
            "aggregate_type": found.aggregate_type,
            "payload": copy.deepcopy(payload),
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "node_id": self._node_id,
            "lamport_clock": number,
            "correlation_id": namespace.ulid(self._scope, "correlation"),
            "project_uuid": namespace.project_uuid(),
            "project_slug": f"sk-conformance-{namespace.label}",
            "schema_version": "1.0.0",
            "data_tier": 1,
        }
        return {**event, **edits}

    def events(self, count: int) -> list[JsonObject]:
        """Return *count* valid events of one type."""
        return [self.event("HistoryAdded") for _ in range(count)]


def batch_bytes(events: list[Any]) -> bytes:
    """Return the wire body of *events*: compact JSON, UTF-8."""
    text = json.dumps({"events": events}, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")
