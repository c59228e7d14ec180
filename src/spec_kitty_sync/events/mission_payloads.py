"""Payload models of mission and gate events, and their event type names (CONTRACT 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from spec_kitty_sync.events.fields import Positive, Text, WpId
from spec_kitty_sync.events.payloads import Payload

SCHEMA_VERSION: str = "1.0.0"
"""The envelope version that we write."""

MISSION_STARTED = "MissionStarted"
MISSION_COMPLETED = "MissionCompleted"
MISSION_CANCELLED = "MissionCancelled"
PHASE_ENTERED = "PhaseEntered"
REVIEW_ROLLBACK = "ReviewRollback"
WP_STATUS_CHANGED = "WPStatusChanged"
MISSION_EVENT_TYPES: frozenset[str] = frozenset(
    {MISSION_STARTED, MISSION_COMPLETED, MISSION_CANCELLED, PHASE_ENTERED, REVIEW_ROLLBACK}
)


class MissionStatus(StrEnum):
    """Where a mission stands."""

    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


TERMINAL_MISSION_STATUSES: frozenset[MissionStatus] = frozenset(
    {MissionStatus.COMPLETED, MissionStatus.CANCELLED}
)


class MissionStartedPayload(Payload):
    """A mission began."""

    mission_id: Text
    mission_type: Text
    initial_phase: Text
    actor: Text


class MissionCompletedPayload(Payload):
    """A mission reached its end."""

    mission_id: Text
    mission_type: Text
    final_phase: Text
    actor: Text


class MissionCancelledPayload(Payload):
    """A mission was given up."""

    mission_id: Text
    reason: Text
    actor: Text
    cancelled_wp_ids: tuple[WpId, ...] = ()


class PhaseEnteredPayload(Payload):
    """A mission entered a phase."""

    mission_id: Text
    phase_name: Text
    previous_phase: Text | None = None
    actor: Text


class ReviewRollbackPayload(Payload):
    """A review sent a mission back to an earlier phase."""

    mission_id: Text
    review_ref: Text
    target_phase: Text
    affected_wp_ids: tuple[WpId, ...] = ()
    actor: Text


class GatePayload(Payload):
    """What an external check run said."""

    gate_name: Text
    gate_type: Literal["ci"] = "ci"
    external_provider: Literal["github"] = "github"
    check_run_id: Positive
    check_run_url: Text
    delivery_id: Text
    pr_number: Positive | None = None


class GatePassedPayload(GatePayload):
    """A check run succeeded."""

    conclusion: Literal["success"]


class GateFailedPayload(GatePayload):
    """A check run did not succeed."""

    conclusion: Literal["failure", "timed_out", "cancelled", "action_required"]
