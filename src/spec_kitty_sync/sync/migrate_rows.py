"""What one legacy row becomes: an event, or a quarantined row with its reason. Pure.

This is the first gate of CONTRACT 6: readable, a JSON object, one non-empty id. Whether an
event may leave is the second gate's verdict, which admission stores beside it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from spec_kitty_sync.errors import AdmissionError
from spec_kitty_sync.events.admission import Admitted, admit
from spec_kitty_sync.events.registry import Registry
from spec_kitty_sync.sync.legacy_sources import LegacyRow

_LOCAL_ONLY_TYPES = "DecisionInput"


class Candidate(NamedTuple):
    """A row that can be appended; `note` says what differed from the plain case."""

    row: LegacyRow
    event: Admitted
    note: str | None


@dataclass(frozen=True)
class Refused:
    """A row that cannot; `reason` is a stable code, `detail` a sentence."""

    row: LegacyRow
    sha256: bytes
    reason: str
    detail: str


def judge(row: LegacyRow, registry: Registry) -> Candidate | Refused:
    """Return what *row* becomes; never raises for anything a row can hold."""
    body = row.body
    if body is None or row.problem is not None:
        return _refused(row, "no_data", row.problem or "the row has no data")
    try:
        event = admit(body, registry=registry, row_id=row.column_id)
    except AdmissionError as exc:
        return _refused(row, str(exc.facts.get("reason", exc.code)), exc.message)
    if event.event_type.startswith(_LOCAL_ONLY_TYPES):
        event = event._replace(tier=0)
    note = None
    if event.notes or (row.column_type is not None and row.column_type != event.event_type):
        note = _note(row, event)
    return Candidate(row, event, note)


def local_only_by_type(event: Admitted) -> Admitted:
    """Return *event*, with tier 0 for the types that older CLIs never sent to a server."""
    if event.tier and event.event_type.startswith(_LOCAL_ONLY_TYPES):
        return event._replace(tier=0)
    return event


def _refused(row: LegacyRow, reason: str, detail: str) -> Refused:
    return Refused(row, hashlib.sha256(row.body or b"").digest(), reason, detail)


def _note(row: LegacyRow, event: Admitted) -> str:
    notes = list(event.notes)
    if row.column_type is not None and row.column_type != event.event_type:
        notes.append(f"filed as {row.column_type!r}, the event's own type counts")
    return "; ".join(notes)
