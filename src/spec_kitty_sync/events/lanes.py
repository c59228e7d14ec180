"""The seven lanes of a work package, their aliases and their four-lane collapse (CONTRACT 2)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType

from spec_kitty_sync.errors import ContractError


class Lane(StrEnum):
    """Where a work package stands."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    IN_PROGRESS = "in_progress"
    FOR_REVIEW = "for_review"
    DONE = "done"
    BLOCKED = "blocked"
    CANCELED = "canceled"


class FieldLane(StrEnum):
    """Lanes that released CLIs wrote: read and delivered, never written by us."""

    APPROVED = "approved"
    IN_REVIEW = "in_review"
    GENESIS = "genesis"


AnyLane = Lane | FieldLane

TERMINAL_LANES: frozenset[Lane] = frozenset({Lane.DONE, Lane.CANCELED})

LANE_ALIASES: Mapping[str, Lane] = MappingProxyType({"doing": Lane.IN_PROGRESS})

_COLLAPSED: Mapping[str, str] = MappingProxyType(
    {
        "planned": "planned",
        "claimed": "doing",
        "in_progress": "doing",
        "for_review": "for_review",
        "done": "done",
        "blocked": "doing",
        "canceled": "done",
        "approved": "done",
        "in_review": "for_review",
        "genesis": "planned",
    }
)


class UnknownLaneError(ContractError, ValueError):
    """The text names no lane."""

    code = "unknown_lane"
    default_remedy = (
        "Use one of: planned, claimed, in_progress, for_review, done, blocked, canceled."
    )


def normalize_lane(value: str | Lane) -> Lane:
    """Return the lane that *value* names, aliases resolved; for calls and options, never events.

    Raises:
        UnknownLaneError: *value* is neither a lane nor an alias.
    """
    text = value.value if isinstance(value, Lane) else value
    if text in LANE_ALIASES:
        return LANE_ALIASES[text]
    try:
        return Lane(text)
    except ValueError:
        raise UnknownLaneError(f"no lane is called {text!r}", lane=text) from None


def collapse_lane(lane: str | AnyLane) -> str:
    """Return the four-lane name of *lane*: planned, doing, for_review or done.

    Raises:
        UnknownLaneError: the table has no such lane.
    """
    text = lane.value if isinstance(lane, Enum) else lane
    try:
        return _COLLAPSED[text]
    except (KeyError, TypeError):
        raise UnknownLaneError(f"no lane is called {text!r}", lane=str(text)) from None
