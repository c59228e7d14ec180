"""The names that CONTRACT 7 fixes, and what they cost to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import spec_kitty_sync.events as events
from spec_kitty_sync.errors import UnknownEventTypeError

NAMES = """
Admitted ClockStorage ConflictResolution CyclicDependencyError DependencyResolvedPayload Dialect
DoneEvidence ErrorEntry ErrorLog ErrorLoggedPayload ErrorStorage Event EventStore EventType
ExecutionMode FINDING_CODES FeatureCompletedPayload FeatureCreatedPayload FieldLane Finding
GATE_FAILED GATE_PASSED GateFailedPayload GatePassedPayload HistoryAddedPayload
InMemoryClockStorage InMemoryErrorStorage InMemoryEventStore LANE_ALIASES Lane LifecycleAnomaly
MISSION_CANCELLED MISSION_COMPLETED MISSION_EVENT_TYPES MISSION_STARTED MissionCancelledPayload
MissionCompletedPayload MissionStartedPayload MissionStatus PHASE_ENTERED PhaseEnteredPayload
REVIEW_ROLLBACK ReducedMissionState ReducedStatus Registry RepoEvidence ReviewRollbackPayload
ReviewVerdict SCHEMA_VERSION Shape StatusTransitionPayload SyncStatusPayload TERMINAL_LANES
TERMINAL_MISSION_STATUSES TransitionAnomaly TransitionValidationResult UnknownConclusionError
UnknownLaneError Validation Validator VerificationEntry WPAssignedPayload WPCreatedPayload WPState
WPStatusChangedPayload WP_STATUS_CHANGED admit collapse_lane dedup_events default_registry
dialect_of is_concurrent map_check_run_conclusion merge_counter merge_gset normalize_lane
partition_by_mission reduce_lifecycle_events reduce_status_events state_machine_merge
status_event_sort_key topological_sort total_order_key validate validate_transition
"""


def test_exported_names_are_pinned() -> None:
    """The exported names are exactly these, sorted, and each one loads."""
    assert events.__all__ == sorted(NAMES.split())
    for name in events.__all__:
        assert getattr(events, name) is not None
    assert dir(events) == list(events.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that is not exported is refused like that of any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        events.__getattr__("Nonsense")


def test_importing_the_package_costs_no_pydantic() -> None:
    """The package, its results of deliveries and its gates load without pydantic."""
    program = (
        "import sys, spec_kitty_sync.events, spec_kitty_sync._json,"
        " spec_kitty_sync.events.admission, spec_kitty_sync.events.registry,"
        " spec_kitty_sync.events.lanes, spec_kitty_sync.events.findings;"
        "print([m for m in ('pydantic', 'pydantic_core', 'jsonschema') if m in sys.modules])"
    )
    source = Path(__file__).resolve().parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_constants_are_what_the_contract_says() -> None:
    """Version, event type names and terminal states are fixed."""
    assert events.SCHEMA_VERSION == "1.0.0"
    assert {
        "MissionStarted",
        "MissionCompleted",
        "MissionCancelled",
        "PhaseEntered",
        "ReviewRollback",
    } == events.MISSION_EVENT_TYPES
    assert events.WP_STATUS_CHANGED == "WPStatusChanged"
    assert [status.value for status in events.MissionStatus] == ["active", "completed", "cancelled"]
    assert {status.value for status in events.TERMINAL_MISSION_STATUSES} == {
        "completed",
        "cancelled",
    }
    assert [mode.value for mode in events.ExecutionMode] == ["worktree", "direct_repo"]


def test_registry_knows_the_contract_types_once() -> None:
    """Core is the table of the contract; field holds the rest of what CLIs wrote."""
    registry = events.default_registry()
    packs: dict[str, set[str]] = {}
    for each in registry:
        packs.setdefault(each.pack, set()).add(each.name)
    assert len(packs["core"]) == 15
    assert len(packs["field"]) == 33
    assert {s.name for s in registry.get("WPStatusChanged").shapes} == {
        "legacy_status",
        "status_transition",
        "sync_status",
    }
    core = [each for each in registry if each.pack == "core"]
    assert {(each.family, each.tier) for each in core} == {("team_bound", 1)}
    assert registry.get("TokenUsageRecorded").family == "discardable"
    assert "Nonsense" not in registry
    with pytest.raises(UnknownEventTypeError, match="Nonsense"):
        registry.get("Nonsense")
