"""Reduces the events of one mission to its status, phases and work packages (CONTRACT 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType
from typing import assert_never

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spec_kitty_sync.events.mission_payloads import (
    MISSION_CANCELLED,
    MISSION_COMPLETED,
    MISSION_EVENT_TYPES,
    MISSION_STARTED,
    PHASE_ENTERED,
    REVIEW_ROLLBACK,
    TERMINAL_MISSION_STATUSES,
    WP_STATUS_CHANGED,
    MissionCancelledPayload,
    MissionCompletedPayload,
    MissionStartedPayload,
    MissionStatus,
    PhaseEnteredPayload,
    ReviewRollbackPayload,
)
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.status import INVALID_PAYLOAD, Reduced, WPState, reduce_status_events
from spec_kitty_sync.events.violations import findings_of

NOT_STARTED = "before_mission_started"
STARTED_TWICE = "mission_started_twice"
AFTER_END = "after_mission_end"
OUTRANKED_BY_CANCEL = "outranked_by_cancellation"
OTHER_MISSION = "other_mission"

MissionPayload = (
    MissionStartedPayload
    | MissionCompletedPayload
    | MissionCancelledPayload
    | PhaseEnteredPayload
    | ReviewRollbackPayload
)
_MODELS: Mapping[str, type[MissionPayload]] = MappingProxyType(
    {
        MISSION_STARTED: MissionStartedPayload,
        MISSION_COMPLETED: MissionCompletedPayload,
        MISSION_CANCELLED: MissionCancelledPayload,
        PHASE_ENTERED: PhaseEnteredPayload,
        REVIEW_ROLLBACK: ReviewRollbackPayload,
    }
)


class LifecycleAnomaly(BaseModel):
    """An event that was skipped, or (reason `gap`) applied although rows before it are missing."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    event_type: str
    reason: str
    detail: str = ""


class ReducedMissionState(Reduced):
    """What the events of one mission amount to; equal for every order they come in."""

    mission_id: str | None = None
    mission_status: MissionStatus | None = None
    mission_type: str | None = None
    current_phase: str | None = None
    phases_entered: tuple[str, ...] = ()
    wp_states: dict[str, WPState] = Field(default_factory=dict)
    anomalies: tuple[LifecycleAnomaly, ...] = ()
    event_count: int = 0
    last_processed_event_id: str | None = None


def reduce_lifecycle_events(
    events: Sequence[Event], *, onto: ReducedMissionState | None = None
) -> ReducedMissionState:
    """Return the state that *events*, of one mission, lead to; *onto* adds them to an earlier one.

    Never raises: what cannot be applied becomes an anomaly. Counts mission and status events only;
    others are ignored. Folding onto a state equals replay from scratch, older events too.
    """
    known = {*MISSION_EVENT_TYPES, WP_STATUS_CHANGED}
    relevant = [event for event in events if event.event_type in known]
    ordered = (onto or ReducedMissionState()).with_events(relevant)
    fold = _Fold()
    mission = [event for event in ordered if event.event_type in MISSION_EVENT_TYPES]
    for _, group in groupby(mission, key=lambda event: event.lamport_clock):
        fold.take(list(group))
    status = reduce_status_events([e for e in ordered if e.event_type == WP_STATUS_CHANGED])
    fold.anomalies.extend(
        LifecycleAnomaly(
            event_id=each.event_id,
            event_type=WP_STATUS_CHANGED,
            reason=each.reason,
            detail=f"{each.wp_id}: {each.detail}",
        )
        for each in status.anomalies
    )
    place = {event.event_id: n for n, event in enumerate(ordered)}
    return ReducedMissionState(
        mission_id=fold.mission_id,
        mission_status=fold.status,
        mission_type=fold.mission_type,
        current_phase=fold.phase,
        phases_entered=tuple(fold.phases),
        wp_states=status.wp_states,
        anomalies=tuple(sorted(fold.anomalies, key=lambda each: place[each.event_id])),
        event_count=len(ordered),
        last_processed_event_id=ordered[-1].event_id if ordered else None,
    ).remember(ordered)


@dataclass(slots=True)
class _Fold:
    """The mission while its events are folded."""

    mission_id: str | None = None
    status: MissionStatus | None = None
    mission_type: str | None = None
    phase: str | None = None
    phases: list[str] = field(default_factory=list)
    anomalies: list[LifecycleAnomaly] = field(default_factory=list)

    def take(self, group: list[Event]) -> None:
        """Fold events of equal clock; among them a cancellation decides."""
        readable = [pair for event in group for pair in self._read(event)]
        cancels = [p for p in readable if isinstance(p[1], MissionCancelledPayload)]
        starts = [p for p in readable if isinstance(p[1], MissionStartedPayload)]
        begins = self.status is None and bool(starts)
        if not cancels or not (begins or self.status is MissionStatus.ACTIVE):
            for event, payload in readable:
                self._fold(event, payload)
            return
        first = starts[0] if begins else None
        if first is not None:
            self._fold(*first)
        winner = next((p for p in cancels if p[1].mission_id == self.mission_id), None)
        for event, payload in readable:
            if winner is None and (event, payload) != first:
                self._fold(event, payload)
            elif winner is not None and event not in (winner[0], first and first[0]):
                self._note(event, OUTRANKED_BY_CANCEL, f"by {winner[0].event_id}")
        if winner is not None:
            self._fold(*winner)

    def _read(self, event: Event) -> Iterator[tuple[Event, MissionPayload]]:
        try:
            yield event, _MODELS[event.event_type].model_validate(event.payload)
        except ValidationError as error:
            detail = "; ".join(each.message for each in findings_of(error, event.payload))
            self._note(event, INVALID_PAYLOAD, detail)

    def _fold(self, event: Event, payload: MissionPayload) -> None:
        refusal = self._refusal(payload)
        if refusal is not None:
            self._note(event, refusal)
            return
        match payload:
            case MissionStartedPayload():
                self.mission_id, self.mission_type = payload.mission_id, payload.mission_type
                self.status = MissionStatus.ACTIVE
                self._enter(payload.initial_phase)
            case PhaseEnteredPayload():
                self._enter(payload.phase_name)
            case ReviewRollbackPayload():
                self.phase = payload.target_phase
            case MissionCompletedPayload():
                self.status, self.phase = MissionStatus.COMPLETED, payload.final_phase
            case MissionCancelledPayload():
                self.status = MissionStatus.CANCELLED
            case _:
                assert_never(payload)

    def _refusal(self, payload: MissionPayload) -> str | None:
        if self.status in TERMINAL_MISSION_STATUSES:
            return AFTER_END
        if isinstance(payload, MissionStartedPayload):
            return None if self.status is None else STARTED_TWICE
        if self.status is None:
            return NOT_STARTED
        return None if payload.mission_id == self.mission_id else OTHER_MISSION

    def _enter(self, phase: str) -> None:
        self.phase = phase
        if not self.phases or self.phases[-1] != phase:
            self.phases.append(phase)

    def _note(self, event: Event, reason: str, detail: str = "") -> None:
        anomaly = LifecycleAnomaly(
            event_id=event.event_id, event_type=event.event_type, reason=reason, detail=detail
        )
        self.anomalies.append(anomaly)
