"""Reduces WPStatusChanged events to the lane of each work package (CONTRACT 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from spec_kitty_sync.events.core_pack import STATUS_SHAPES
from spec_kitty_sync.events.lanes import LANE_ALIASES, AnyLane, FieldLane, Lane, collapse_lane
from spec_kitty_sync.events.mission_payloads import WP_STATUS_CHANGED
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.ordering import dedup_events, sort_events
from spec_kitty_sync.events.payloads import (
    DoneEvidence,
    RecordedTransition,
    SyncStatusPayload,
    WPStatusChangedPayload,
)
from spec_kitty_sync.events.transitions import (
    FOUR_LANE_MOVES,
    is_listed,
    validate_transition,
)
from spec_kitty_sync.events.violations import findings_of

GAP = "gap"
ILLEGAL = "illegal_move"
FROM_LANE_MISMATCH = "from_lane_mismatch"
OUTRANKED = "outranked_by_rollback"
INVALID_PAYLOAD = "invalid_payload"


class WPState(BaseModel):
    """Where one work package stands, and since which event."""

    model_config = ConfigDict(frozen=True)

    wp_id: str
    current_lane: AnyLane
    last_event_id: str
    last_transition_at: str
    evidence: DoneEvidence | None = None


class TransitionAnomaly(BaseModel):
    """An event that was skipped, or (reason `gap`) applied although rows before it are missing."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    wp_id: str
    from_lane: AnyLane | None = None
    to_lane: AnyLane | None = None
    reason: str
    detail: str = ""


class Reduced(BaseModel):
    """A state with the events it was reduced from, so that older ones can still be folded in."""

    model_config = ConfigDict(frozen=True)

    _events: tuple[Event, ...] = PrivateAttr(default=())

    def remember(self, events: Sequence[Event]) -> Self:
        """Return a copy that stems from *events*, in the reducers' order and each id once."""
        copy = self.model_copy()
        copy.__pydantic_private__ = {"_events": tuple(events)}
        return copy

    def with_events(self, events: Iterable[Event]) -> list[Event]:
        """Return the events of this state and *events*, in the reducers' order, each id once."""
        return dedup_events(sort_events([*self._events, *events]))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__


class ReducedStatus(Reduced):
    """What a set of status events amounts to; equal for every order they come in."""

    wp_states: dict[str, WPState] = Field(default_factory=dict)
    anomalies: tuple[TransitionAnomaly, ...] = ()
    event_count: int = 0
    last_processed_event_id: str | None = None


def reduce_status_events(
    events: Sequence[Event], *, onto: ReducedStatus | None = None
) -> ReducedStatus:
    """Return the state that *events*, of one mission, lead to; *onto* adds them to an earlier one.

    Never raises: what cannot be applied becomes an anomaly. Events of other types are ignored.
    Folding onto a state equals replay from scratch, also when the new events are older.
    """
    relevant = [event for event in events if event.event_type == WP_STATUS_CHANGED]
    ordered = (onto or ReducedStatus()).with_events(relevant)
    states: dict[str, WPState] = {}
    anomalies: list[TransitionAnomaly] = []
    moves = [_read(event, anomalies) for event in ordered]
    for _, clock in groupby((move for move in moves if move), key=lambda m: m.event.lamport_clock):
        for wp_id, group in _by_wp(clock):
            anomalies.extend(_apply_group(states, wp_id, group))
    place = {event.event_id: n for n, event in enumerate(ordered)}
    anomalies.sort(key=lambda each: place[each.event_id])
    return ReducedStatus(
        wp_states=states,
        anomalies=tuple(anomalies),
        event_count=len(ordered),
        last_processed_event_id=ordered[-1].event_id if ordered else None,
    ).remember(ordered)


@dataclass(frozen=True, slots=True)
class _Move:
    """A status event, read."""

    event: Event
    payload: RecordedTransition | SyncStatusPayload | WPStatusChangedPayload
    source: AnyLane | None
    target: AnyLane

    @property
    def is_rollback(self) -> bool:
        return (
            isinstance(self.payload, RecordedTransition)
            and self.payload.review_ref is not None
            and self.source in (Lane.FOR_REVIEW, FieldLane.IN_REVIEW)
            and self.target is Lane.IN_PROGRESS
        )

    def anomaly(self, reason: str, detail: str = "") -> TransitionAnomaly:
        return TransitionAnomaly(
            event_id=self.event.event_id,
            wp_id=self.payload.wp_id,
            from_lane=self.source,
            to_lane=self.target,
            reason=reason,
            detail=detail,
        )


def _read(event: Event, anomalies: list[TransitionAnomaly]) -> _Move | None:
    """Return the move that *event* states, or None with an anomaly noted."""
    shape = next(shape for shape in STATUS_SHAPES if shape.takes(event.payload))
    try:
        payload = shape.model.model_validate(event.payload) if shape.model else None
    except ValidationError as error:
        wp_id = event.payload.get("wp_id")
        anomalies.append(
            TransitionAnomaly(
                event_id=event.event_id,
                wp_id=wp_id if isinstance(wp_id, str) else "",
                reason=INVALID_PAYLOAD,
                detail="; ".join(each.message for each in findings_of(error, event.payload)),
            )
        )
        return None
    match payload:
        case WPStatusChangedPayload():
            source, target = _lane(payload.previous_status), _lane(payload.new_status)
            return _Move(event, payload, source, target)
        case RecordedTransition() | SyncStatusPayload():
            source_lane = None if payload.from_lane is FieldLane.GENESIS else payload.from_lane
            return _Move(event, payload, source_lane, payload.to_lane)
    return None


def _lane(four: str) -> Lane:
    return LANE_ALIASES.get(four) or Lane(four)


def _by_wp(moves: Iterable[_Move]) -> Iterator[tuple[str, list[_Move]]]:
    groups: dict[str, list[_Move]] = {}
    for move in moves:
        groups.setdefault(move.payload.wp_id, []).append(move)
    yield from groups.items()


def _apply_group(
    states: dict[str, WPState], wp_id: str, group: list[_Move]
) -> Iterator[TransitionAnomaly]:
    """Apply moves of equal clock to one work package, each judged against the state before all."""
    before = states.get(wp_id)
    current = before.current_lane if before is not None else None
    legal: list[tuple[_Move, str | None]] = []
    for move in group:
        refusal = _refusal(move, current)
        if refusal is None:
            legal.append((move, None))
        elif refusal[0] == GAP:
            legal.append((move, refusal[1]))
        else:
            yield move.anomaly(*refusal)
    rollbacks = [pair for pair in legal if pair[0].is_rollback]
    for move, gap in legal:
        if rollbacks and not move.is_rollback:
            yield move.anomaly(OUTRANKED, f"by {rollbacks[-1][0].event.event_id}")
            continue
        if gap is not None:
            yield move.anomaly(GAP, gap)
        if not _changes_nothing(move, current):
            states[wp_id] = _state_after(move)


def _state_after(move: _Move) -> WPState:
    evidence = move.payload.evidence if isinstance(move.payload, RecordedTransition) else None
    return WPState(
        wp_id=move.payload.wp_id,
        current_lane=move.target,
        last_event_id=move.event.event_id,
        last_transition_at=move.event.timestamp,
        evidence=evidence,
    )


def _changes_nothing(move: _Move, current: AnyLane | None) -> bool:
    if current is None:
        return False
    if isinstance(move.payload, WPStatusChangedPayload):
        return collapse_lane(current) == move.payload.new_status == move.payload.previous_status
    stated = move.payload.from_lane is not None
    return move.target == current and (not stated or move.source == current)


def _refusal(move: _Move, current: AnyLane | None) -> tuple[str, str] | None:
    """Return why *move* is not simply applied to *current*: (reason, detail), or None."""
    match move.payload:
        case RecordedTransition():
            return _transition_refusal(move, move.payload, current)
        case SyncStatusPayload():
            return _queued_refusal(move, move.payload, current)
        case WPStatusChangedPayload():
            return _four_lane_refusal(move.payload, current)


def _transition_refusal(
    move: _Move, payload: RecordedTransition, current: AnyLane | None
) -> tuple[str, str] | None:
    if move.source != current:
        return FROM_LANE_MISMATCH, f"states {_name(move.source)}, current is {_name(current)}"
    if move.source == move.target:
        return None
    verdict = validate_transition(payload)
    return None if verdict.valid else (ILLEGAL, "; ".join(verdict.violations))


def _queued_refusal(
    move: _Move, payload: SyncStatusPayload, current: AnyLane | None
) -> tuple[str, str] | None:
    """Judge a sync_status move: queues may lack rows, so its own from_lane counts."""
    source = move.source if payload.from_lane is not None else current
    skips = (source, move.target) == (Lane.PLANNED, Lane.IN_PROGRESS)
    if source != move.target and not skips and not is_listed((source, move.target)):
        return ILLEGAL, f"{_name(source)} → {_name(move.target)}"
    if skips:
        return GAP, "claimed is missing"
    if source != current:
        return GAP, f"states {_name(source)}, current is {_name(current)}"
    return None


def _four_lane_refusal(
    payload: WPStatusChangedPayload, current: AnyLane | None
) -> tuple[str, str] | None:
    move = (payload.previous_status, payload.new_status)
    if move[0] != move[1] and move not in FOUR_LANE_MOVES:
        return ILLEGAL, f"{move[0]} → {move[1]}"
    if current is None or collapse_lane(current) != move[0]:
        return GAP, f"states {move[0]}, current is {_name(current)}"
    return None


def _name(lane: AnyLane | None) -> str:
    return "none" if lane is None else str(lane)
