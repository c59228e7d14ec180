"""Whether an event may leave this machine: what the wire gate says, beside what is valid."""

from __future__ import annotations

import re

from spec_kitty_sync.diagnose.models import DiagnoseResult, Row, Verdict
from spec_kitty_sync.errors import AdmissionError
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import Registry

_STATES_TIER_0 = re.compile(rb'"data_tier"\s*:\s*0').search
_KNOWN_TO_THE_SOURCE = frozenset({"corrupt", "migration_conflict"})


def reason_to_stay(row: Row, result: DiagnoseResult, *, registry: Registry) -> str | None:
    """Return the hold of an event that cannot leave; None for one that can, or is none.

    Nothing holds an event without findings but its tier: only the others are looked at closely.
    """
    if row.body is None or result.verdict is Verdict.UNREADABLE:
        return None
    for note in row.notes:
        if note.code in _KNOWN_TO_THE_SOURCE:
            return note.code
    known = registry.types.get(result.event_type or "")
    local = known is not None and known.tier == 0
    if not (result.findings or local or _STATES_TIER_0(row.body)):
        return None
    try:
        admitted = admit(row.body, registry=registry)
    except AdmissionError as exc:
        return str(exc.facts.get("reason") or exc.code)
    return admitted.hold or ("local_only" if admitted.tier == 0 else None)
