"""JSON Schemas of what goes with events: batches, health, diagnose report (CONTRACT 5)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_COUNTS = {"type": "object", "additionalProperties": _COUNT}

_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["event_id", "status"],
    "properties": {
        "event_id": {"type": "string", "description": "Echoed character for character."},
        "status": {
            "enum": [
                "success",
                "duplicate",
                "pending",
                "queued",
                "rejected",
                "failed_transient",
                "failed_permanent",
            ]
        },
        "error": _TEXT_OR_NULL,
        "error_message": _TEXT_OR_NULL,
        "error_category": _TEXT_OR_NULL,
    },
    "if": {"properties": {"status": {"const": "rejected"}}},
    "then": {
        "anyOf": [
            {"required": [name], "properties": {name: _TEXT}} for name in ("error", "error_message")
        ]
    },
}

_FINDING: dict[str, Any] = {
    "type": "object",
    "required": ["code", "severity", "path", "message"],
    "properties": {
        "code": _TEXT,
        "severity": {"enum": ["error", "warning"]},
        "path": {"type": "string", "description": "JSON Pointer; empty for the whole event."},
        "message": _TEXT,
        "value": _TEXT_OR_NULL,
    },
}

_DIAGNOSED: dict[str, Any] = {
    "type": "object",
    "required": [
        "event_id",
        "event_type",
        "valid",
        "errors",
        "dialect",
        "findings",
        "error_category",
    ],
    "properties": {
        "event_id": _TEXT_OR_NULL,
        "event_type": _TEXT_OR_NULL,
        "valid": {"type": "boolean"},
        "errors": {"type": "array", "items": {"type": "string"}},
        "dialect": {"enum": ["canonical", "identity", "emission", None]},
        "findings": {"type": "array", "items": _FINDING},
        "error_category": _TEXT_OR_NULL,
        "source": _TEXT,
        "row": {"type": "integer", "description": "Rowid, line or sequence number."},
    },
}

_SUMMARY: dict[str, Any] = {
    "type": "object",
    "required": [
        "total",
        "valid",
        "warnings",
        "invalid",
        "unreadable",
        "by_type",
        "by_category",
        "by_code",
    ],
    "properties": {
        **dict.fromkeys(("total", "valid", "warnings", "invalid", "unreadable"), _COUNT),
        **dict.fromkeys(("by_type", "by_category", "by_code"), _COUNTS),
        "by_hold": {**_COUNTS, "description": "Events that cannot leave the machine, by reason."},
    },
}

_SOURCE: dict[str, Any] = {
    "type": "object",
    "required": ["source", "summary", "passed_over", "problem", "advice"],
    "properties": {
        "source": _TEXT,
        "summary": _SUMMARY,
        "passed_over": {**_COUNT, "description": "Rows that are delivered or imported already."},
        "problem": {
            "description": "Why the source could not be read in full; null when it could.",
            "type": ["object", "null"],
            "required": ["code", "message", "remedy"],
            "properties": dict.fromkeys(("code", "message", "remedy"), _TEXT),
        },
        "advice": _TEXT_OR_NULL,
    },
}

_CAUSE: dict[str, Any] = {
    "type": "object",
    "required": ["code", "severity", "events", "meaning", "remedy", "places"],
    "properties": {
        "code": _TEXT,
        "severity": {"enum": ["error", "warning"]},
        "events": _COUNT,
        "meaning": _TEXT,
        "remedy": _TEXT,
        "places": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "about", "events", "source", "row", "event_id", "message"],
                "properties": {
                    "path": {"type": "string"},
                    "about": _TEXT_OR_NULL,
                    "events": _COUNT,
                    "source": _TEXT,
                    "row": {"type": "integer"},
                    "event_id": _TEXT_OR_NULL,
                    "message": _TEXT,
                },
            },
        },
    },
}

WIRE_DOCUMENTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "batch-request.schema.json": {
            "title": "Batch request",
            "description": "The body of POST /api/v1/events/batch/: at most 1000 events or the"
            " receiver's advertised max_batch_events.",
            "type": "object",
            "required": ["events"],
            "properties": {
                "events": {"type": "array", "items": {"$ref": "wire-event.schema.json"}}
            },
        },
        "batch-response.schema.json": {
            "title": "Batch response",
            "description": "The body of a 200: exactly one result for each event sent.",
            "type": "object",
            "required": ["results"],
            "properties": {"results": {"type": "array", "items": _RESULT}},
        },
        "error-response.schema.json": {
            "title": "Error response",
            "description": "The body of every answer but 200.",
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": _TEXT,
                "details": {
                    "anyOf": [
                        {"type": "string"},
                        {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["event_id"],
                                "anyOf": [{"required": ["error"]}, {"required": ["reason"]}],
                            },
                        },
                    ]
                },
            },
        },
        "health.schema.json": {
            "title": "Health",
            "description": "The body of GET /api/v1/sync/health/.",
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": _TEXT,
                "server_instance_id": _TEXT_OR_NULL,
                "deployment_id": _TEXT_OR_NULL,
                "environment_name": _TEXT_OR_NULL,
                "git_sha": _TEXT_OR_NULL,
                "max_batch_events": {"type": "integer", "minimum": 1},
                "max_event_bytes": {"type": "integer", "minimum": 1},
                "max_body_bytes": {"type": "integer", "minimum": 1},
                "capabilities": {"type": "array", "items": {"type": "string"}},
            },
        },
        "diagnose-report.schema.json": {
            "title": "Diagnose report",
            "description": "What `spec-kitty diagnose --json` prints.",
            "type": "object",
            "required": ["schema_version", "source", "summary", "results"],
            "properties": {
                "schema_version": _TEXT,
                "source": {"type": "string", "description": "What was asked for."},
                "summary": _SUMMARY,
                "results": {"type": "array", "items": _DIAGNOSED},
                "sources": {"type": "array", "items": _SOURCE},
                "causes": {"type": "array", "items": _CAUSE},
            },
        },
    }
)
