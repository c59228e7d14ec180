"""What an event is: models, registry, reducers, validation (CONTRACT 1-4, 7). Pure.

Names load when they are first used, so that reading a constant costs no pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spec_kitty_sync.events.admission import Admitted as Admitted
    from spec_kitty_sync.events.admission import admit as admit
    from spec_kitty_sync.events.conflict import is_concurrent as is_concurrent
    from spec_kitty_sync.events.conflict import total_order_key as total_order_key
    from spec_kitty_sync.events.crdt import merge_counter as merge_counter
    from spec_kitty_sync.events.crdt import merge_gset as merge_gset
    from spec_kitty_sync.events.envelope import Dialect as Dialect
    from spec_kitty_sync.events.envelope import dialect_of as dialect_of
    from spec_kitty_sync.events.error_log import ErrorLog as ErrorLog
    from spec_kitty_sync.events.findings import FINDING_CODES as FINDING_CODES
    from spec_kitty_sync.events.findings import Finding as Finding
    from spec_kitty_sync.events.gates import GATE_FAILED as GATE_FAILED
    from spec_kitty_sync.events.gates import GATE_PASSED as GATE_PASSED
    from spec_kitty_sync.events.gates import UnknownConclusionError as UnknownConclusionError
    from spec_kitty_sync.events.gates import map_check_run_conclusion as map_check_run_conclusion
    from spec_kitty_sync.events.lanes import LANE_ALIASES as LANE_ALIASES
    from spec_kitty_sync.events.lanes import TERMINAL_LANES as TERMINAL_LANES
    from spec_kitty_sync.events.lanes import FieldLane as FieldLane
    from spec_kitty_sync.events.lanes import Lane as Lane
    from spec_kitty_sync.events.lanes import UnknownLaneError as UnknownLaneError
    from spec_kitty_sync.events.lanes import collapse_lane as collapse_lane
    from spec_kitty_sync.events.lanes import normalize_lane as normalize_lane
    from spec_kitty_sync.events.lifecycle import LifecycleAnomaly as LifecycleAnomaly
    from spec_kitty_sync.events.lifecycle import ReducedMissionState as ReducedMissionState
    from spec_kitty_sync.events.lifecycle import reduce_lifecycle_events as reduce_lifecycle_events
    from spec_kitty_sync.events.merge import ConflictResolution as ConflictResolution
    from spec_kitty_sync.events.merge import state_machine_merge as state_machine_merge
    from spec_kitty_sync.events.mission_payloads import MISSION_CANCELLED as MISSION_CANCELLED
    from spec_kitty_sync.events.mission_payloads import MISSION_COMPLETED as MISSION_COMPLETED
    from spec_kitty_sync.events.mission_payloads import MISSION_EVENT_TYPES as MISSION_EVENT_TYPES
    from spec_kitty_sync.events.mission_payloads import MISSION_STARTED as MISSION_STARTED
    from spec_kitty_sync.events.mission_payloads import PHASE_ENTERED as PHASE_ENTERED
    from spec_kitty_sync.events.mission_payloads import REVIEW_ROLLBACK as REVIEW_ROLLBACK
    from spec_kitty_sync.events.mission_payloads import SCHEMA_VERSION as SCHEMA_VERSION
    from spec_kitty_sync.events.mission_payloads import (
        TERMINAL_MISSION_STATUSES as TERMINAL_MISSION_STATUSES,
    )
    from spec_kitty_sync.events.mission_payloads import WP_STATUS_CHANGED as WP_STATUS_CHANGED
    from spec_kitty_sync.events.mission_payloads import GateFailedPayload as GateFailedPayload
    from spec_kitty_sync.events.mission_payloads import GatePassedPayload as GatePassedPayload
    from spec_kitty_sync.events.mission_payloads import (
        MissionCancelledPayload as MissionCancelledPayload,
    )
    from spec_kitty_sync.events.mission_payloads import (
        MissionCompletedPayload as MissionCompletedPayload,
    )
    from spec_kitty_sync.events.mission_payloads import (
        MissionStartedPayload as MissionStartedPayload,
    )
    from spec_kitty_sync.events.mission_payloads import MissionStatus as MissionStatus
    from spec_kitty_sync.events.mission_payloads import PhaseEnteredPayload as PhaseEnteredPayload
    from spec_kitty_sync.events.mission_payloads import (
        ReviewRollbackPayload as ReviewRollbackPayload,
    )
    from spec_kitty_sync.events.models import Event as Event
    from spec_kitty_sync.events.ordering import dedup_events as dedup_events
    from spec_kitty_sync.events.ordering import partition_by_mission as partition_by_mission
    from spec_kitty_sync.events.ordering import status_event_sort_key as status_event_sort_key
    from spec_kitty_sync.events.payloads import (
        DependencyResolvedPayload as DependencyResolvedPayload,
    )
    from spec_kitty_sync.events.payloads import DoneEvidence as DoneEvidence
    from spec_kitty_sync.events.payloads import ErrorLoggedPayload as ErrorLoggedPayload
    from spec_kitty_sync.events.payloads import ExecutionMode as ExecutionMode
    from spec_kitty_sync.events.payloads import FeatureCompletedPayload as FeatureCompletedPayload
    from spec_kitty_sync.events.payloads import FeatureCreatedPayload as FeatureCreatedPayload
    from spec_kitty_sync.events.payloads import HistoryAddedPayload as HistoryAddedPayload
    from spec_kitty_sync.events.payloads import RepoEvidence as RepoEvidence
    from spec_kitty_sync.events.payloads import ReviewVerdict as ReviewVerdict
    from spec_kitty_sync.events.payloads import StatusTransitionPayload as StatusTransitionPayload
    from spec_kitty_sync.events.payloads import SyncStatusPayload as SyncStatusPayload
    from spec_kitty_sync.events.payloads import VerificationEntry as VerificationEntry
    from spec_kitty_sync.events.payloads import WPAssignedPayload as WPAssignedPayload
    from spec_kitty_sync.events.payloads import WPCreatedPayload as WPCreatedPayload
    from spec_kitty_sync.events.payloads import WPStatusChangedPayload as WPStatusChangedPayload
    from spec_kitty_sync.events.registry import EventType as EventType
    from spec_kitty_sync.events.registry import Registry as Registry
    from spec_kitty_sync.events.registry import Shape as Shape
    from spec_kitty_sync.events.registry import default_registry as default_registry
    from spec_kitty_sync.events.status import ReducedStatus as ReducedStatus
    from spec_kitty_sync.events.status import TransitionAnomaly as TransitionAnomaly
    from spec_kitty_sync.events.status import WPState as WPState
    from spec_kitty_sync.events.status import reduce_status_events as reduce_status_events
    from spec_kitty_sync.events.storage import ClockStorage as ClockStorage
    from spec_kitty_sync.events.storage import ErrorEntry as ErrorEntry
    from spec_kitty_sync.events.storage import ErrorStorage as ErrorStorage
    from spec_kitty_sync.events.storage import EventStore as EventStore
    from spec_kitty_sync.events.storage import InMemoryClockStorage as InMemoryClockStorage
    from spec_kitty_sync.events.storage import InMemoryErrorStorage as InMemoryErrorStorage
    from spec_kitty_sync.events.storage import InMemoryEventStore as InMemoryEventStore
    from spec_kitty_sync.events.topology import CyclicDependencyError as CyclicDependencyError
    from spec_kitty_sync.events.topology import topological_sort as topological_sort
    from spec_kitty_sync.events.transitions import (
        TransitionValidationResult as TransitionValidationResult,
    )
    from spec_kitty_sync.events.transitions import validate_transition as validate_transition
    from spec_kitty_sync.events.validation import Validation as Validation
    from spec_kitty_sync.events.validation import Validator as Validator
    from spec_kitty_sync.events.validation import validate as validate

_TABLE = """
admission: Admitted admit
conflict: is_concurrent total_order_key
crdt: merge_counter merge_gset
envelope: Dialect dialect_of
error_log: ErrorLog
findings: FINDING_CODES Finding
gates: GATE_FAILED GATE_PASSED UnknownConclusionError map_check_run_conclusion
lanes: FieldLane LANE_ALIASES Lane TERMINAL_LANES UnknownLaneError collapse_lane
    normalize_lane
lifecycle: LifecycleAnomaly ReducedMissionState reduce_lifecycle_events
merge: ConflictResolution state_machine_merge
mission_payloads: GateFailedPayload GatePassedPayload MISSION_CANCELLED MISSION_COMPLETED
    MISSION_EVENT_TYPES MISSION_STARTED MissionCancelledPayload MissionCompletedPayload
    MissionStartedPayload MissionStatus PHASE_ENTERED PhaseEnteredPayload REVIEW_ROLLBACK
    ReviewRollbackPayload SCHEMA_VERSION TERMINAL_MISSION_STATUSES WP_STATUS_CHANGED
models: Event
ordering: dedup_events partition_by_mission status_event_sort_key
payloads: DependencyResolvedPayload DoneEvidence ErrorLoggedPayload ExecutionMode
    FeatureCompletedPayload FeatureCreatedPayload HistoryAddedPayload RepoEvidence
    ReviewVerdict StatusTransitionPayload SyncStatusPayload VerificationEntry
    WPAssignedPayload WPCreatedPayload WPStatusChangedPayload
registry: EventType Registry Shape default_registry
status: ReducedStatus TransitionAnomaly WPState reduce_status_events
storage: ClockStorage ErrorEntry ErrorStorage EventStore InMemoryClockStorage
    InMemoryErrorStorage InMemoryEventStore
topology: CyclicDependencyError topological_sort
transitions: TransitionValidationResult validate_transition
validation: Validation Validator validate
"""


def _homes() -> Mapping[str, str]:
    """Return the module of each exported name, from the table above."""
    homes, module = {}, ""
    for word in _TABLE.split():
        if word.endswith(":"):
            module = word[:-1]
        else:
            homes[word] = f"{__name__}.{module}"
    return MappingProxyType(homes)


_HOMES = _homes()

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
