"""Events for benchmarks: deterministic, valid, about 700 bytes each."""

from __future__ import annotations

import json
from typing import Any

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PROJECT = "550e8400-e29b-41d4-a716-446655440000"


def ulid(number: int) -> str:
    """Return the ULID of *number*; larger numbers sort later."""
    value = ((1_770_000_000_000 + number) << 80) | (number * 0x9E3779B97F4A7C15F39C & (2**80 - 1))
    digits = []
    for _ in range(26):
        digits.append(_DIGITS[value & 31])
        value >>= 5
    return "".join(reversed(digits))


def make_event(number: int) -> dict[str, Any]:
    """Return one status change in the canonical dialect."""
    work_package = f"WP{number % 40:02d}"
    return {
        "event_id": ulid(number),
        "event_type": "WPStatusChanged",
        "aggregate_id": work_package,
        "aggregate_type": "WorkPackage",
        "payload": {
            "wp_id": work_package,
            "from_lane": "planned",
            "to_lane": "in_progress",
            "actor": "claude-agent",
            "feature_slug": "039-cli-2x-readiness",
        },
        "timestamp": f"2026-02-12T10:{number // 60 % 60:02d}:{number % 60:02d}+00:00",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": number + 1,
        "causation_id": None,
        "correlation_id": ulid(number % 7),
        "schema_version": "1.0.0",
        "data_tier": 1,
        "team_slug": "local",
        "project_uuid": _PROJECT,
        "project_slug": "spec-kitty",
    }


def make_bodies(count: int, *, start: int = 0) -> list[bytes]:
    """Return *count* events as compact JSON."""
    return [
        json.dumps(make_event(number), separators=(",", ":")).encode()
        for number in range(start, start + count)
    ]
