"""The contract's rules for one event, as reasons that name the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.I)
_TEXTS = ("event_type", "aggregate_id", "aggregate_type", "timestamp", "node_id")


@dataclass(frozen=True, slots=True)
class Checked:
    """The broken rules, one sentence each, and the data tier that counts."""

    errors: tuple[str, ...]
    tier: int = 1


def check_event(body: bytes, fields: Mapping[str, Any]) -> Checked:
    """Return what is wrong with the event (thin: the envelope's required fields only)."""
    errors = [f"{name} is missing or empty" for name in _TEXTS if not _text(fields.get(name))]
    if not _ULID.fullmatch(str(fields.get("event_id"))):
        errors.append("event_id is not a ULID")
    if not _UUID4.fullmatch(str(fields.get("project_uuid"))):
        errors.append("project_uuid is not a UUID v4")
    if not isinstance(fields.get("payload"), dict):
        errors.append("payload is not an object")
    if "lamport_clock" not in fields:
        errors.append("lamport_clock is missing")
    return Checked(tuple(errors))


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""
