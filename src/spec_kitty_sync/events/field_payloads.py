"""Payload models of the field pack, written as tables: what released CLIs wrote, checked loosely.

A key is `name`, `name:type`, `name?` or `name?:type`; without a type it is a string. `?` means that
rows without it, or with null, were measured, or that too few rows were measured to demand it. Extra
keys are allowed and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import StrictInt, create_model

from spec_kitty_sync.events.fields import AnyText, Count, Flag, Number, Object, Timestamp, WpId
from spec_kitty_sync.events.payloads import Payload

_TYPES: Mapping[str, Any] = MappingProxyType(
    {
        "str": AnyText,
        "int": StrictInt,
        "count": Count,
        "number": Number,
        "bool": Flag,
        "list": list[Any],
        "object": Object,
        "time": Timestamp,
        "wp": WpId,
        "wps": list[WpId],
    }
)


def loose(name: str, keys: str) -> type[Payload]:
    """Return the payload model *name* with the *keys* of the notation above."""
    fields: dict[str, Any] = {}
    for word in keys.split():
        key, _, kind = word.partition(":")
        annotation = _TYPES[kind or "str"]
        if key.endswith("?"):
            fields[key[:-1]] = (annotation | None, None)
        else:
            fields[key] = (annotation, ...)
    model: type[Payload] = create_model(
        name, __base__=Payload, __doc__=f"{name}, as measured on released CLIs.", **fields
    )
    return model


WP_CREATED_TITLED = loose(
    "WPCreatedTitled",
    "mission_slug wp_id:wp wp_title depends_on:wps actor mission_number?:int wp_path?"
    " created_at?:time",
)
WP_CREATED_BY_MISSION = loose("WPCreatedByMission", "wp_id:wp title dependencies:wps mission_slug")

_BUILD = (
    "build_id? node_id project_uuid? project_slug? project_name? repo_slug? branch? head_commit?"
    " developer_name? machine_name? workspace_path?"
)
_PROOF = (
    "proof_schema_version subject:object source actor:object confidence?:number occurred_at:time"
    " observed_at?:time artifact_refs?:list summary?:object mission_id? mission_slug? wp_id?"
    " idempotency_key?"
)
_STEP = "mission_slug mission_number?:int actor? at:time"
_RUN = "run_id actor:object mission_id? mission_slug?"

FIELD_PAYLOADS: Mapping[str, type[Payload]] = MappingProxyType(
    {
        name: loose(name, keys)
        for name, keys in {
            "BenchmarkEvidenceAttached": f"{_PROOF} benchmark_name",
            "BuildHeartbeat": f"{_BUILD} remote_head? ahead_of_remote?:int behind_remote?:int"
            " recent_commits?:list",
            "BuildRegistered": _BUILD,
            "DecisionInputAnswered": f"{_RUN} decision_id answer",
            "DecisionInputRequested": f"{_RUN} decision_id step_id? question options?:list"
            " input_key?",
            "DiffSummaryRecorded": "mission_id base_ref head_ref files_changed:count"
            " lines_added:count lines_deleted:count source? wp_id?",
            "FollowUpRecorded": "mission_id mission_slug? follow_up_type commit_sha? pr_number?:int"
            " recorded_by? recorded_at:time",
            "HumanApprovalRecorded": f"{_PROOF} approver approval_status",
            "MissionClosed": "mission_slug mission_id? mission_number?:int mission_type?"
            " total_wps?:count completed_at?:time total_duration?",
            "MissionCreated": "mission_slug mission_id mission_number?:int mission_type?"
            " target_branch wp_count:count friendly_name? purpose_tldr? purpose_context?"
            " created_at?:time",
            "MissionOriginBound": "mission_slug? feature_slug? mission_id? provider"
            " external_issue_id external_issue_key external_issue_url title",
            "MissionReopened": "mission_id mission_slug? reason? reopened_by reopened_at:time"
            " cleared_merge?:object",
            "MissionRunCompleted": f"{_RUN} mission_type",
            "MissionRunStarted": f"{_RUN} mission_type",
            "NextStepAutoCompleted": f"{_RUN} step_id agent_id result",
            "NextStepIssued": f"{_RUN} step_id agent_id",
            "PlanCompleted": f"{_STEP} artifact_path? summary?",
            "PlanStarted": _STEP,
            "ProofItemRecorded": f"{_PROOF} proof_kind",
            "PullRequestLineageRecorded": f"{_PROOF} provider repository pull_request_url",
            "ReviewProofRecorded": f"{_PROOF} review_kind verdict",
            "ReviewerSelfApproval": "mission_slug wp_id:wp implementing_actor intended_reviewer"
            " failure_reason? fallback_approved:bool timestamp:time",
            "SecurityScanCompleted": f"{_PROOF} scanner status findings_summary?:object",
            "SpecifyCompleted": f"{_STEP} artifact_path? summary?",
            "SpecifyStarted": _STEP,
            "TasksCompleted": f"{_STEP} artifact_path? wp_count?:count summary?",
            "TasksStarted": _STEP,
            "TestEvidenceCaptured": f"{_PROOF} test_command exit_code:int status",
            "TokenUsageRecorded": "mission_id? input_tokens:count output_tokens:count"
            " total_tokens?:count estimated_cost_usd?:number source? run_id? provider? model?",
        }.items()
    }
)

_FLAT = "feature_slug? mission_slug? namespace:object"

DOSSIER_FLAT: Mapping[str, type[Payload]] = MappingProxyType(
    {
        name: loose(f"{name}Flat", f"{_FLAT} {keys}")
        for name, keys in {
            "MissionDossierArtifactIndexed": "artifact_key artifact_class relative_path"
            " content_hash_sha256? size_bytes:count wp_id? step_id? required_status?",
            "MissionDossierArtifactMissing": "artifact_key artifact_class expected_path_pattern"
            " reason_code reason_detail? blocking:bool",
            "MissionDossierParityDriftDetected": "local_parity_hash baseline_parity_hash"
            " missing_in_local:list missing_in_baseline:list severity",
            "MissionDossierSnapshotComputed": "parity_hash_sha256 artifact_counts:object"
            " completeness_status snapshot_id",
        }.items()
    }
)

DOSSIER_NAMESPACED: Mapping[str, type[Payload]] = MappingProxyType(
    {
        name: loose(f"{name}Namespaced", f"namespace:object context_diagnostics?:object {keys}")
        for name, keys in {
            "MissionDossierArtifactIndexed": "artifact_id:object content_ref:object"
            " indexed_at?:time",
            "MissionDossierArtifactMissing": "expected_identity:object manifest_step"
            " checked_at?:time",
            "MissionDossierParityDriftDetected": "expected_hash actual_hash drift_kind"
            " detected_at?:time artifact_ids_changed?:list",
            "MissionDossierSnapshotComputed": "snapshot_hash artifact_count:count"
            " anomaly_count?:count computed_at?:time algorithm?",
        }.items()
    }
)
