"""The arguments of the typed emit methods: each payload's fields, and what all have in common.

A test holds them against the payload models of the registry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from spec_kitty_sync.events.lanes import Lane
from spec_kitty_sync.events.payloads import DoneEvidence, ExecutionMode


class Common(TypedDict, total=False):
    """What `EventEmitter.emit` takes beside the payload."""

    aggregate_id: str
    aggregate_type: str
    causation_id: str
    correlation_id: str
    data_tier: int


class StatusTransitionFields(Common, total=False):
    feature_slug: Required[str]
    from_lane: Lane | str | None
    to_lane: Required[Lane | str]
    actor: Required[str]
    force: bool
    reason: str | None
    execution_mode: Required[ExecutionMode | str]
    review_ref: str | None
    evidence: DoneEvidence | Mapping[str, Any] | None


class WPCreatedFields(Common, total=False):
    title: Required[str]
    dependencies: Sequence[str]
    feature_slug: Required[str]


class WPAssignedFields(Common, total=False):
    agent_id: Required[str]
    phase: Required[Literal["implementation", "review"]]
    retry_count: int


class FeatureCreatedFields(Common, total=False):
    feature_number: Required[str]
    target_branch: Required[str]
    wp_count: Required[int]
    created_at: str | None


class FeatureCompletedFields(Common, total=False):
    completed_at: str | None
    total_wps: Required[int]
    total_duration: str | None


class HistoryAddedFields(Common, total=False):
    entry_type: Required[Literal["note", "review", "error", "comment"]]
    entry_content: Required[str]
    author: str


class ErrorLoggedFields(Common, total=False):
    wp_id: str | None
    error_type: Required[Literal["validation", "runtime", "network", "auth", "unknown"]]
    stack_trace: str | None
    agent_id: str | None


class DependencyResolvedFields(Common, total=False):
    dependency_wp_id: Required[str]
    resolution_type: Required[Literal["completed", "skipped", "merged"]]


class MissionStartedFields(Common, total=False):
    mission_type: Required[str]
    initial_phase: Required[str]
    actor: Required[str]


class MissionCompletedFields(Common, total=False):
    mission_type: Required[str]
    final_phase: Required[str]
    actor: Required[str]


class MissionCancelledFields(Common, total=False):
    reason: Required[str]
    actor: Required[str]
    cancelled_wp_ids: Sequence[str]


class PhaseEnteredFields(Common, total=False):
    phase_name: Required[str]
    previous_phase: str | None
    actor: Required[str]


class ReviewRollbackFields(Common, total=False):
    review_ref: Required[str]
    target_phase: Required[str]
    affected_wp_ids: Sequence[str]
    actor: Required[str]


class GateFields(Common, total=False):
    gate_type: Literal["ci"]
    external_provider: Literal["github"]
    check_run_id: Required[int]
    check_run_url: Required[str]
    delivery_id: Required[str]
    pr_number: int | None


class GatePassedFields(GateFields, total=False):
    conclusion: Literal["success"]


class GateFailedFields(GateFields, total=False):
    conclusion: Required[Literal["failure", "timed_out", "cancelled", "action_required"]]
