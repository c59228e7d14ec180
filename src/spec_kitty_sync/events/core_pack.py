"""The core pack: what our emitter writes and every receiver takes (CONTRACT 3)."""

from __future__ import annotations

from spec_kitty_sync.events import mission_payloads as mission
from spec_kitty_sync.events import payloads as wp
from spec_kitty_sync.events.field_payloads import (
    WP_CREATED_BY_MISSION,
    WP_CREATED_TITLED,
)
from spec_kitty_sync.events.payloads import Payload
from spec_kitty_sync.events.registry import CORE_AGGREGATES, FIELD, EventType, Shape

STATUS_SHAPES = (
    Shape(
        "legacy_status",
        wp.WPStatusChangedPayload,
        any_of=frozenset({"previous_status", "new_status"}),
    ),
    Shape(
        "status_transition",
        wp.RecordedTransition,
        any_of=frozenset({"force", "reason", "execution_mode", "review_ref", "evidence"}),
    ),
    Shape("sync_status", wp.SyncStatusPayload),
)

WP_CREATED_SHAPES = (
    Shape(
        "wp_created_titled",
        WP_CREATED_TITLED,
        any_of=frozenset({"wp_title", "depends_on"}),
        none_of=frozenset({"title", "feature_slug"}),
        pack=FIELD,
    ),
    Shape(
        "wp_created_by_mission",
        WP_CREATED_BY_MISSION,
        any_of=frozenset({"mission_slug"}),
        none_of=frozenset({"feature_slug"}),
        pack=FIELD,
    ),
    Shape("wp_created", wp.WPCreatedPayload),
)


WORK_PACKAGE = ("WorkPackage",)
FEATURE = ("Feature",)
MISSION = ("Mission",)


def _one(name: str, model: type[Payload], aggregate_types: tuple[str, ...]) -> EventType:
    return EventType(name, aggregate_types=aggregate_types, shapes=(Shape(name, model),))


CORE_TYPES: tuple[EventType, ...] = (
    EventType(mission.WP_STATUS_CHANGED, aggregate_types=WORK_PACKAGE, shapes=STATUS_SHAPES),
    EventType("WPCreated", aggregate_types=WORK_PACKAGE, shapes=WP_CREATED_SHAPES),
    _one("WPAssigned", wp.WPAssignedPayload, WORK_PACKAGE),
    _one("FeatureCreated", wp.FeatureCreatedPayload, FEATURE),
    _one("FeatureCompleted", wp.FeatureCompletedPayload, FEATURE),
    _one("HistoryAdded", wp.HistoryAddedPayload, WORK_PACKAGE),
    _one("ErrorLogged", wp.ErrorLoggedPayload, CORE_AGGREGATES),
    _one("DependencyResolved", wp.DependencyResolvedPayload, WORK_PACKAGE),
    _one(mission.MISSION_STARTED, mission.MissionStartedPayload, MISSION),
    _one(mission.MISSION_COMPLETED, mission.MissionCompletedPayload, MISSION),
    _one(mission.MISSION_CANCELLED, mission.MissionCancelledPayload, MISSION),
    _one(mission.PHASE_ENTERED, mission.PhaseEnteredPayload, MISSION),
    _one(mission.REVIEW_ROLLBACK, mission.ReviewRollbackPayload, MISSION),
    _one("GatePassed", mission.GatePassedPayload, CORE_AGGREGATES),
    _one("GateFailed", mission.GateFailedPayload, CORE_AGGREGATES),
)
