"""The field pack: event types that released CLIs wrote beyond the core (CONTRACT 3)."""

from __future__ import annotations

from collections.abc import Iterator

from spec_kitty_sync.events.field_payloads import (
    DOSSIER_FLAT,
    DOSSIER_NAMESPACED,
    FIELD_PAYLOADS,
)
from spec_kitty_sync.events.registry import FIELD, EventType, Family, Shape

_BUILD = frozenset({"BuildHeartbeat", "BuildRegistered"})
_DISCARDABLE = frozenset({"BuildHeartbeat", "TokenUsageRecorded"})
_NEVER_SENT = frozenset({"DecisionInputAnswered", "DecisionInputRequested"})
_WORK_PACKAGE = frozenset(
    {
        "BenchmarkEvidenceAttached",
        "HumanApprovalRecorded",
        "ProofItemRecorded",
        "PullRequestLineageRecorded",
        "ReviewProofRecorded",
        "ReviewerSelfApproval",
        "SecurityScanCompleted",
        "TestEvidenceCaptured",
    }
)
_NAMESPACED_KEYS = {
    "MissionDossierArtifactIndexed": frozenset({"artifact_id", "content_ref"}),
    "MissionDossierArtifactMissing": frozenset({"expected_identity", "manifest_step"}),
    "MissionDossierParityDriftDetected": frozenset({"expected_hash", "actual_hash"}),
    "MissionDossierSnapshotComputed": frozenset({"snapshot_hash", "artifact_count"}),
}
_PROJECT = "payload.namespace.project_uuid|project_uuid"
_MISSION_SLUG = "|".join(
    f"payload.{place}"
    for place in (
        "namespace.mission_slug",
        "namespace.feature_slug",
        "mission_slug",
        "feature_slug",
    )
)
_COALESCE: dict[str, tuple[str, ...]] = {
    "MissionDossierArtifactIndexed": (
        _PROJECT,
        _MISSION_SLUG,
        "payload.artifact_id.path|payload.artifact_key",
    ),
    "MissionDossierSnapshotComputed": (_PROJECT, _MISSION_SLUG),
}


def _aggregates(name: str) -> tuple[str, ...]:
    if name in _BUILD:
        return ("Build",)
    if name in _WORK_PACKAGE:
        return ("WorkPackage",)
    return ("Mission", "Feature") if name == "MissionOriginBound" else ("Mission",)


def _family(name: str) -> Family:
    if name in _NEVER_SENT:
        return "local_only"
    return "discardable" if name in _DISCARDABLE else "team_bound"


def _field_types() -> Iterator[EventType]:
    for name, model in FIELD_PAYLOADS.items():
        yield EventType(
            name,
            pack=FIELD,
            aggregate_types=_aggregates(name),
            shapes=(Shape(name, model, pack=FIELD),),
            family=_family(name),
            tier=0 if name in _NEVER_SENT else 1,
        )
    for name, flat in DOSSIER_FLAT.items():
        namespaced = DOSSIER_NAMESPACED[name]
        yield EventType(
            name,
            pack=FIELD,
            aggregate_types=("MissionDossier",),
            shapes=(
                Shape("namespaced", namespaced, any_of=_NAMESPACED_KEYS[name], pack=FIELD),
                Shape("flat", flat, pack=FIELD),
            ),
            family="discardable",
            coalesce=_COALESCE.get(name, ()),
        )


FIELD_TYPES: tuple[EventType, ...] = tuple(_field_types())
