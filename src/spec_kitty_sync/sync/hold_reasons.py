"""Why events stay on this machine: one sentence and one command for each reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HoldReason:
    """What a reason means; `remedy` is None where staying here is what was asked for."""

    meaning: str
    remedy: str | None


_REPLACE = "Correct one with `spec-kitty sync replace EVENT_ID --file FILE`."
_KNOWN = {
    "local_only": HoldReason("tier 0: stays on this machine by choice", None),
    "superseded": HoldReason("a newer event took its place", None),
    "archived": HoldReason("its bytes were archived or collected", None),
    "no_identity": HoldReason("without project identity (project_uuid)", _REPLACE),
    "other_team": HoldReason(
        "belongs to another team", "Send with `spec-kitty sync now --include-team TEAM`."
    ),
    "migration_conflict": HoldReason(
        "two sources disagree about its content", "Run `spec-kitty sync migrate conflicts list`."
    ),
    "too_large": HoldReason("larger than the receiver takes", _REPLACE),
    "corrupt": HoldReason("stored bytes differ from their hash", "Run `spec-kitty sync verify`."),
}


def hold_reason(code: str) -> HoldReason:
    """Return what *code* means; an unknown one is shown as it is."""
    known = _KNOWN.get(code)
    return known or HoldReason(f"cannot be sent: {code.replace('_', ' ')}", _REPLACE)
