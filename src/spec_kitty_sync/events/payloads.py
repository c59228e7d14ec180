"""Payload models of the core pack, except mission and gate events (CONTRACT 3).

Frozen; unknown keys are allowed and kept. `X | None = None` marks what the contract marks `?`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from spec_kitty_sync.events.fields import (
    NUMBER_PATTERN,
    AnyText,
    Count,
    Flag,
    FourLane,
    Text,
    Timestamp,
    WpId,
)
from spec_kitty_sync.events.lanes import AnyLane, FieldLane, Lane

# Left to right is five times as fast here, and no text names two lanes.
RecordedLane = Annotated[AnyLane, Field(union_mode="left_to_right")]
RecordedTarget = Annotated[
    Lane | Literal[FieldLane.APPROVED, FieldLane.IN_REVIEW], Field(union_mode="left_to_right")
]
"""Where a move may lead: nothing moves to genesis."""

Slug = Annotated[Text, Field(validation_alias=AliasChoices("feature_slug", "mission_slug"))]
OptionalSlug = Annotated[
    Text | None, Field(validation_alias=AliasChoices("feature_slug", "mission_slug"))
]


class Payload(BaseModel):
    """Base of all payloads: frozen, extra keys kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class ExecutionMode(StrEnum):
    """Where the work of a transition was done."""

    WORKTREE = "worktree"
    DIRECT_REPO = "direct_repo"


class RepoEvidence(Payload):
    """A commit that holds the finished work."""

    repo: Text
    branch: Text
    commit: Text
    files_touched: tuple[Text, ...] | None = None


class VerificationEntry(Payload):
    """A command that was run to check the work."""

    command: Text
    result: Text
    summary: Text | None = None


class ReviewVerdict(Payload):
    """Who reviewed, and what they said."""

    reviewer: Text
    verdict: Text
    reference: Text | None = None


class DoneEvidence(Payload):
    """Why a work package may be called done."""

    repos: Annotated[tuple[RepoEvidence, ...], Field(min_length=1)]
    verification: tuple[VerificationEntry, ...]
    review: ReviewVerdict


def _conditions_as_schema(schema: dict[str, Any]) -> None:
    """Add to the JSON Schema of a transition what its validators check."""
    slugs = ("feature_slug", "mission_slug")
    schema["allOf"] = [
        _when({"force": {"const": True}}, {"reason": {"type": "string"}}),
        _when({"to_lane": {"const": "done"}}, {"evidence": {"type": "object"}}),
        either(schema, *slugs),
    ]


def either(schema: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    """Return the rule that *second* may stand for *first*; moves the rule of *first* there.

    Where neither is stated a validator names *first*: that is the field to add.
    """
    rule = schema["properties"].pop(first)
    needed = first in schema.get("required", ())
    if needed:
        schema["required"].remove(first)
    otherwise: dict[str, Any] = {"properties": {second: rule}}
    if needed:
        given = {"required": [second]}
        otherwise = {"if": given, "then": otherwise, "else": {"required": [first]}}
    return {
        "if": {"required": [first]},
        "then": {"properties": {first: rule}},
        "else": otherwise,
    }


def _when(given: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": given, "required": list(given)},
        "then": {"properties": then, "required": list(then)},
    }


def _slug_as_schema(schema: dict[str, Any]) -> None:
    schema["allOf"] = [either(schema, "feature_slug", "mission_slug")]


class RecordedTransition(Payload):
    """A move between lanes as stored events state it: field lanes included."""

    model_config = ConfigDict(json_schema_extra=_conditions_as_schema)

    feature_slug: Slug
    wp_id: WpId
    from_lane: RecordedLane | None = None
    to_lane: RecordedTarget
    actor: Text
    force: Flag = False
    reason: Text | None = None
    execution_mode: ExecutionMode
    review_ref: Text | None = None
    evidence: DoneEvidence | None = None

    @model_validator(mode="after")
    def _conditions(self) -> RecordedTransition:
        if self.force and self.reason is None:
            raise PydanticCustomError("reason_missing", "a forced move needs a reason")
        if self.to_lane is Lane.DONE and self.evidence is None:
            raise PydanticCustomError("evidence_missing", "a move to done needs evidence")
        return self


class StatusTransitionPayload(RecordedTransition):
    """A move between the seven lanes: the shape that our emitter writes."""

    from_lane: Lane | None = None
    to_lane: Lane


class SyncStatusPayload(Payload):
    """A move between lanes as CLIs 2.1-3.1 queued it: only the two ends."""

    model_config = ConfigDict(json_schema_extra=_slug_as_schema)

    wp_id: WpId
    from_lane: RecordedLane | None = None
    to_lane: RecordedTarget
    actor: Text | None = None
    feature_slug: OptionalSlug = None


class WPStatusChangedPayload(Payload):
    """A move between the four collapsed lanes, for targets with `lanes = "four"`."""

    wp_id: WpId
    previous_status: FourLane
    new_status: FourLane
    changed_by: Text = "user"
    feature_slug: Text | None = None


class WPCreatedPayload(Payload):
    """A work package exists."""

    wp_id: WpId
    title: Text
    dependencies: tuple[WpId, ...] = ()
    feature_slug: Text


class WPAssignedPayload(Payload):
    """An agent took a work package, for implementation or review."""

    wp_id: WpId
    agent_id: Text
    phase: Literal["implementation", "review"]
    retry_count: Count = 0


class FeatureCreatedPayload(Payload):
    """A feature exists."""

    feature_slug: Text
    feature_number: Annotated[AnyText, Field(pattern=NUMBER_PATTERN)]
    target_branch: Text
    wp_count: Count
    created_at: Timestamp | None = None


class FeatureCompletedPayload(Payload):
    """All work packages of a feature are done."""

    feature_slug: Text
    completed_at: Timestamp | None = None
    total_wps: Count
    total_duration: Text | None = None


class HistoryAddedPayload(Payload):
    """A line in the history of a work package."""

    wp_id: WpId
    entry_type: Literal["note", "review", "error", "comment"]
    entry_content: Text
    author: Text = "user"


class ErrorLoggedPayload(Payload):
    """Something failed while working."""

    wp_id: WpId | None = None
    error_type: Literal["validation", "runtime", "network", "auth", "unknown"]
    error_message: Text
    stack_trace: Text | None = None
    agent_id: Text | None = None


class DependencyResolvedPayload(Payload):
    """A work package no longer waits for another."""

    wp_id: WpId
    dependency_wp_id: WpId
    resolution_type: Literal["completed", "skipped", "merged"]
