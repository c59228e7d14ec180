"""Which moves between lanes are legal, and what each needs (CONTRACT 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from spec_kitty_sync.events.lanes import TERMINAL_LANES, AnyLane, FieldLane, Lane, collapse_lane
from spec_kitty_sync.events.payloads import RecordedTransition

Move = tuple[AnyLane | None, AnyLane]
"""From (None: the work package does not exist yet) and to."""

_FORCED = ("actor", "reason")
_OPEN_LANES = tuple(lane for lane in Lane if lane not in TERMINAL_LANES)

MATRIX: Mapping[Move, str | None] = MappingProxyType(
    {
        (None, Lane.PLANNED): None,
        (Lane.PLANNED, Lane.CLAIMED): "actor",
        (Lane.CLAIMED, Lane.IN_PROGRESS): None,
        (Lane.IN_PROGRESS, Lane.FOR_REVIEW): None,
        (Lane.FOR_REVIEW, Lane.DONE): "evidence",
        (Lane.FOR_REVIEW, Lane.IN_PROGRESS): "review_ref",
        (Lane.IN_PROGRESS, Lane.PLANNED): "reason",
        (Lane.BLOCKED, Lane.IN_PROGRESS): None,
        **{(lane, Lane.BLOCKED): None for lane in _OPEN_LANES},
        **{(lane, Lane.CANCELED): None for lane in _OPEN_LANES},
    }
)
"""The legal moves without force, each with the field it cannot do without."""

FIELD_MOVES: frozenset[Move] = frozenset(
    {
        (Lane.FOR_REVIEW, FieldLane.IN_REVIEW),
        (Lane.FOR_REVIEW, FieldLane.APPROVED),
        (FieldLane.IN_REVIEW, FieldLane.APPROVED),
        (FieldLane.APPROVED, Lane.DONE),
        *(
            (source, target)
            for source in (FieldLane.IN_REVIEW, FieldLane.APPROVED)
            for target in (Lane.IN_PROGRESS, Lane.PLANNED, Lane.BLOCKED, Lane.CANCELED)
        ),
    }
)
"""Moves of released CLIs, through lanes that the contract does not have (CONTRACT 4)."""

FOUR_LANE_MOVES: frozenset[tuple[str, str]] = frozenset(
    (collapse_lane(source), collapse_lane(target)) for source, target in MATRIX if source
)
"""Legal moves between the four collapsed lanes."""


@dataclass(frozen=True, slots=True)
class TransitionValidationResult:
    """Whether a move is legal, and each rule that it breaks."""

    valid: bool
    violations: tuple[str, ...] = ()


def validate_transition(payload: RecordedTransition) -> TransitionValidationResult:
    """Return whether the move of *payload* is legal; never raises for a broken rule."""
    violations = tuple(_violations(payload))
    return TransitionValidationResult(not violations, violations)


def is_listed(move: Move) -> bool:
    """Return True when *move* is legal without force, field lanes included, guards aside."""
    return move in MATRIX or move in FIELD_MOVES


def _violations(payload: RecordedTransition) -> Iterator[str]:
    source, target = _source(payload.from_lane), payload.to_lane
    if target == Lane.DONE and payload.evidence is None:
        yield "a move to done needs evidence"
    if payload.force:
        yield from (f"a forced move needs {n}" for n in _FORCED if not getattr(payload, n))
    elif not is_listed((source, target)):
        yield f"{_name(source)} → {_name(target)} is not a legal move without force"
    else:
        needed = MATRIX.get((source, target))
        if needed not in (None, "evidence") and not getattr(payload, str(needed)):
            yield f"{_name(source)} → {_name(target)} needs {needed}"


def _source(lane: AnyLane | None) -> AnyLane | None:
    return None if lane is FieldLane.GENESIS else lane


def _name(lane: AnyLane | None) -> str:
    return "none" if lane is None else str(lane)
