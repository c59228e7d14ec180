"""The reducers once more, as naively as CONTRACT 2 and 4 read: nothing of ours but the models.

Slow, without groups that are prepared or tables that are shared; only for comparison.
"""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import Any

from spec_kitty_sync._json import canonical_hash
from spec_kitty_sync.events import Event, Validator, default_registry

FOUR = {
    "planned": "planned", "claimed": "doing", "in_progress": "doing", "blocked": "doing",
    "for_review": "for_review", "in_review": "for_review",
    "done": "done", "canceled": "done", "approved": "done",
}  # fmt: skip
ENDS = ("done", "canceled")
LEGAL = """
None>planned planned>claimed:actor claimed>in_progress in_progress>for_review
for_review>done:evidence for_review>in_progress:review_ref in_progress>planned:reason
blocked>in_progress for_review>in_review for_review>approved in_review>approved approved>done
in_review>in_progress in_review>planned approved>in_progress approved>planned
"""
MISSION = (
    "MissionStarted",
    "MissionCompleted",
    "MissionCancelled",
    "PhaseEntered",
    "ReviewRollback",
)
_NEEDS: dict[str, str] = dict(
    (word.partition(":")[0], word.partition(":")[2]) for word in LEGAL.split()
)
_VALIDATOR = Validator(default_registry())

Told = dict[str, str]


def need_of(source: str | None, target: str) -> str | None:
    """Return the field that the move needs, "" for none; None for a move that is not listed."""
    if source is not None and source not in ENDS and target in ("blocked", "canceled"):
        return ""
    return _NEEDS.get(f"{source}>{target}")


def in_order(events: list[Event]) -> list[Event]:
    """Return *events* sorted, the first of each id."""
    first: dict[str, Event] = {}
    for event in sorted(events, key=_key):
        first.setdefault(event.event_id, event)
    return list(first.values())


def _key(event: Event) -> tuple[Any, ...]:
    instant = datetime.fromisoformat(event.timestamp)
    return event.lamport_clock, instant, event.event_id, canonical_hash(event.to_wire())


def _readable(event: Event) -> bool:
    return not any(
        finding.severity == "error" and finding.path.startswith("/payload")
        for finding in _VALIDATOR.validate(event.to_wire()).findings
    )


def lanes_of(events: list[Event]) -> tuple[dict[str, tuple[str, str]], Told]:
    """Return (lane, last event id) of each work package, and what is told of events."""
    lanes: dict[str, tuple[str, str]] = {}
    told: Told = {}
    moves = [e for e in in_order(events) if e.event_type == "WPStatusChanged"]
    told.update({e.event_id: "invalid_payload" for e in moves if not _readable(e)})
    groups: dict[tuple[int, str], list[Event]] = {}
    for event in moves:
        if event.event_id not in told:
            groups.setdefault((event.lamport_clock, event.payload["wp_id"]), []).append(event)
    for (_, wp_id), group in groups.items():
        now = lanes.get(wp_id, (None, ""))[0]
        said = {event.event_id: _verdict(event.payload, now) for event in group}
        back = [e for e in group if said[e.event_id] in ("", "same") and _is_rollback(e.payload)]
        for event in group:
            verdict = said[event.event_id]
            legal = verdict in ("", "gap", "same")
            if legal and back and event not in back:
                told[event.event_id] = "outranked_by_rollback"
                continue
            if verdict not in ("", "same"):
                told[event.event_id] = verdict
            if verdict in ("", "gap"):
                lanes[wp_id] = (_target(event.payload), event.event_id)
    return lanes, told


def _is_legacy(payload: dict[str, Any]) -> bool:
    return payload.get("new_status") is not None


def _is_queued(payload: dict[str, Any]) -> bool:
    keys = ("force", "reason", "execution_mode", "review_ref", "evidence")
    return all(payload.get(key) is None for key in keys)


def _target(payload: dict[str, Any]) -> str:
    if _is_legacy(payload):
        four = str(payload["new_status"])
        return "in_progress" if four == "doing" else four
    return str(payload["to_lane"])


def _is_rollback(payload: dict[str, Any]) -> bool:
    to_work = _target(payload) == "in_progress" and payload.get("review_ref") is not None
    return to_work and payload.get("from_lane") in ("for_review", "in_review")


def _verdict(payload: dict[str, Any], now: str | None) -> str:
    """Return "" (applied), "same" (nothing changes), "gap", or why the move is skipped."""
    if _is_legacy(payload):
        return _legacy_verdict(payload["previous_status"], payload["new_status"], now)
    stated, target = payload.get("from_lane"), payload["to_lane"]
    source = None if stated == "genesis" else stated
    if _is_queued(payload):
        return _queued_verdict(source if stated is not None else now, target, now)
    if source != now:
        return "from_lane_mismatch"
    if source == target:
        return "same"
    if payload.get("force"):
        return ""
    need = need_of(source, target)
    return "illegal_move" if need is None or (need and not payload.get(need)) else ""


def _queued_verdict(source: str | None, target: str, now: str | None) -> str:
    if (source, target) == ("planned", "in_progress"):
        return "gap"
    if source != target and need_of(source, target) is None:
        return "illegal_move"
    if source != now:
        return "gap"
    return "same" if source == target else ""


def _legacy_verdict(source: str, target: str, now: str | None) -> str:
    listed = any(
        need_of(one, other) is not None
        for one in FOUR
        for other in FOUR
        if (FOUR[one], FOUR[other]) == (source, target)
        and not {one, other} & {"in_review", "approved"}
    )
    if source != target and not listed:
        return "illegal_move"
    if now is None or FOUR[now] != source:
        return "gap"
    return "same" if source == target else ""


class Mission:
    """A mission, event by event."""

    def __init__(self) -> None:
        self.status: str | None = None
        self.mission_id: str | None = None
        self.phase: str | None = None
        self.phases: list[str] = []
        self.told: Told = {}

    def reduce(self, events: list[Event]) -> Mission:
        """Take *events* clock by clock."""
        mine = [e for e in in_order(events) if e.event_type in MISSION]
        for _, peers in groupby(mine, key=lambda e: e.lamport_clock):
            group = list(peers)
            self.told.update({e.event_id: "invalid_payload" for e in group if not _readable(e)})
            self._take([e for e in group if _readable(e)])
        return self

    def _take(self, group: list[Event]) -> None:
        starts = [e for e in group if e.event_type == "MissionStarted" and self.status is None]
        if any(e.event_type == "MissionCancelled" for e in group) and starts:
            self._apply(starts[0])
            group = [e for e in group if e is not starts[0]]
        decides = [
            e
            for e in group
            if e.event_type == "MissionCancelled"
            and self.status == "active"
            and e.payload["mission_id"] == self.mission_id
        ]
        for event in group:
            if decides and event is not decides[0]:
                self.told[event.event_id] = "outranked_by_cancellation"
            else:
                self._apply(event)

    def _apply(self, event: Event) -> None:
        reason = self._refusal(event)
        payload = event.payload
        if reason:
            self.told[event.event_id] = reason
        elif event.event_type == "MissionStarted":
            self.status, self.mission_id = "active", payload["mission_id"]
            self.phase = payload["initial_phase"]
            self.phases = [payload["initial_phase"]]
        elif event.event_type == "PhaseEntered":
            self.phase = payload["phase_name"]
            self.phases += [payload["phase_name"]] * (self.phases[-1] != self.phase)
        elif event.event_type == "ReviewRollback":
            self.phase = payload["target_phase"]
        elif event.event_type == "MissionCompleted":
            self.status, self.phase = "completed", payload["final_phase"]
        else:
            self.status = "cancelled"

    def _refusal(self, event: Event) -> str | None:
        if self.status in ("completed", "cancelled"):
            return "after_mission_end"
        if event.event_type == "MissionStarted":
            return "mission_started_twice" if self.status else None
        if self.status is None:
            return "before_mission_started"
        return None if event.payload["mission_id"] == self.mission_id else "other_mission"
