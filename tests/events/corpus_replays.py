"""Sequences of events with the state they lead to, worked out by hand (CONTRACT 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PROJECT = "7d9c1f6e-3b52-4c88-9f0a-2f1b6f6f0c11"
EVIDENCE = {
    "repos": [{"repo": "demo", "branch": "main", "commit": "7a073bf4"}],
    "verification": [{"command": "pytest -q", "result": "passed"}],
    "review": {"reviewer": "codex", "verdict": "approved"},
}


@dataclass(frozen=True)
class Replay:
    """Events in the order a file holds them, and what they amount to in any order."""

    name: str
    shows: str
    events: list[dict[str, Any]]
    expected: dict[str, Any]


def event(number: int, clock: int, event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return event *number* at Lamport *clock*."""
    return {
        "event_id": event_id(number),
        "event_type": event_type,
        "aggregate_id": str(payload.get("wp_id", "demo-mission")),
        "aggregate_type": "WorkPackage" if "wp_id" in payload else "Mission",
        "payload": payload,
        "timestamp": f"2026-03-01T09:{clock % 60:02d}:{number % 60:02d}Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": clock,
        "project_uuid": PROJECT,
        "correlation_id": "01JQ00000000000000000000C1",
    }


def event_id(number: int) -> str:
    return f"01JQ{number:022d}"


def move(number: int, clock: int, source: str | None, target: str, **more: Any) -> dict[str, Any]:
    """Return a status_transition event of WP01 (or `wp_id`)."""
    payload = {
        "feature_slug": "001-demo",
        "wp_id": more.pop("wp_id", "WP01"),
        "from_lane": source,
        "to_lane": target,
        "actor": "claude",
        "force": False,
        "execution_mode": "worktree",
    }
    if target == "done":
        payload["evidence"] = EVIDENCE
    return event(number, clock, "WPStatusChanged", payload | more)


def queued(number: int, clock: int, source: str, target: str) -> dict[str, Any]:
    """Return a sync_status event of WP01, as CLIs 2.1-3.1 queued it."""
    payload = {"wp_id": "WP01", "from_lane": source, "to_lane": target, "actor": "claude"}
    return event(number, clock, "WPStatusChanged", payload | {"feature_slug": "001-demo"})


def four(number: int, clock: int, source: str, target: str) -> dict[str, Any]:
    """Return a legacy_status event of WP01."""
    payload = {"wp_id": "WP01", "previous_status": source, "new_status": target}
    return event(number, clock, "WPStatusChanged", payload | {"changed_by": "user"})


def mission(number: int, clock: int, event_type: str, **more: Any) -> dict[str, Any]:
    """Return a mission event."""
    return event(number, clock, event_type, {"mission_id": "M1", "actor": "claude"} | more)


def started(number: int, clock: int) -> dict[str, Any]:
    return mission(
        number, clock, "MissionStarted", mission_type="software", initial_phase="specify"
    )


def completed(number: int, clock: int) -> dict[str, Any]:
    return mission(number, clock, "MissionCompleted", mission_type="software", final_phase="accept")


def entered(number: int, clock: int, phase: str) -> dict[str, Any]:
    return mission(number, clock, "PhaseEntered", phase_name=phase)


def rolled_back(number: int, clock: int, phase: str) -> dict[str, Any]:
    return mission(number, clock, "ReviewRollback", review_ref="PR-7", target_phase=phase)


def cancelled(number: int, clock: int) -> dict[str, Any]:
    return mission(number, clock, "MissionCancelled", reason="no longer needed")


def state(
    lanes: dict[str, str],
    anomalies: tuple[tuple[int, str], ...] = (),
    *,
    status: str | None = None,
    phase: str | None = None,
    phases: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return an expected state; anomalies are (event number, reason) in the reducers' order."""
    return {
        "mission_status": status,
        "current_phase": phase,
        "phases_entered": list(phases),
        "lanes": lanes,
        "anomalies": [{"event_id": event_id(n), "reason": reason} for n, reason in anomalies],
    }


_TO_REVIEW = [
    move(1, 1, None, "planned"),
    move(2, 2, "planned", "claimed"),
    move(3, 3, "claimed", "in_progress"),
    move(4, 4, "in_progress", "for_review"),
]

REPLAYS: tuple[Replay, ...] = (
    Replay(
        "straight-to-done",
        "A work package passes every lane once; nothing is odd.",
        [*_TO_REVIEW, move(5, 5, "for_review", "done")],
        state({"WP01": "done"}),
    ),
    Replay(
        "duplicates",
        "The same events twice amount to the same as once.",
        [*_TO_REVIEW, *_TO_REVIEW],
        state({"WP01": "for_review"}),
    ),
    Replay(
        "rollback-during-work",
        "A review with a reference sends work back; work goes on from there.",
        [
            *_TO_REVIEW,
            move(5, 5, "for_review", "in_progress", review_ref="PR-7"),
            move(6, 6, "in_progress", "for_review"),
        ],
        state({"WP01": "for_review"}),
    ),
    Replay(
        "rollback-outranks",
        "Of concurrent moves the reviewer's rollback stands, whatever the others say.",
        [
            *_TO_REVIEW,
            move(5, 5, "for_review", "done"),
            move(6, 5, "for_review", "in_progress", review_ref="PR-7"),
            move(7, 5, "for_review", "canceled"),
        ],
        state(
            {"WP01": "in_progress"},
            ((5, "outranked_by_rollback"), (7, "outranked_by_rollback")),
        ),
    ),
    Replay(
        "concurrent-clocks",
        "Moves of equal clock are judged against the state before all of them.",
        [
            move(1, 1, None, "planned"),
            move(2, 2, "planned", "claimed"),
            move(3, 2, "claimed", "in_progress"),
            move(4, 2, None, "planned", wp_id="WP02"),
        ],
        state({"WP01": "claimed", "WP02": "planned"}, ((3, "from_lane_mismatch"),)),
    ),
    Replay(
        "instants-not-texts",
        "Of legal moves at one clock the later instant stands, whatever offset it is written in.",
        [
            move(1, 1, None, "planned"),
            move(2, 2, "planned", "blocked") | {"timestamp": "2026-03-01T09:00:00-05:00"},
            move(3, 2, "planned", "claimed") | {"timestamp": "2026-03-01T11:00:00+01:00"},
        ],
        state({"WP01": "blocked"}),
    ),
    Replay(
        "illegal-moves",
        "Illegal moves are skipped and told, legal ones around them count.",
        [
            move(1, 1, None, "planned"),
            move(2, 2, "planned", "for_review"),
            move(3, 3, "claimed", "in_progress"),
            move(4, 4, "planned", "claimed"),
            move(5, 5, "claimed", "canceled"),
            move(6, 6, "canceled", "planned"),
        ],
        state(
            {"WP01": "canceled"},
            ((2, "illegal_move"), (3, "from_lane_mismatch"), (6, "illegal_move")),
        ),
    ),
    Replay(
        "forced-out-of-a-terminal-lane",
        "Force with a reason leaves even a terminal lane.",
        [
            *_TO_REVIEW,
            move(5, 5, "for_review", "done"),
            move(6, 6, "done", "in_progress", force=True, reason="found a fault"),
        ],
        state({"WP01": "in_progress"}),
    ),
    Replay(
        "queue-with-gaps",
        "What old queues hold is applied over missing rows, and says so.",
        [
            queued(1, 1, "planned", "in_progress"),
            queued(2, 5, "for_review", "done"),
            queued(3, 6, "done", "claimed"),
        ],
        state({"WP01": "done"}, ((1, "gap"), (2, "gap"), (3, "illegal_move"))),
    ),
    Replay(
        "field-lanes",
        "The lanes of released CLIs lead on to done.",
        [
            queued(1, 1, "genesis", "planned"),
            queued(2, 2, "planned", "claimed"),
            queued(3, 3, "claimed", "in_progress"),
            queued(4, 4, "in_progress", "for_review"),
            queued(5, 5, "for_review", "in_review"),
            queued(6, 6, "in_review", "approved"),
            queued(7, 7, "approved", "approved"),
            queued(8, 8, "approved", "done"),
        ],
        state({"WP01": "done"}),
    ),
    Replay(
        "four-lanes",
        "The collapsed shape moves between four lanes; doing is in_progress.",
        [
            move(1, 1, None, "planned"),
            four(2, 2, "planned", "doing"),
            four(3, 3, "doing", "for_review"),
            four(4, 4, "planned", "for_review"),
            four(5, 5, "for_review", "done"),
        ],
        state({"WP01": "done"}, ((4, "illegal_move"),)),
    ),
    Replay(
        "mission-with-rollback",
        "A review rollback sets the phase back and changes nothing else.",
        [
            started(1, 1),
            entered(2, 2, "plan"),
            entered(3, 3, "implement"),
            move(4, 4, None, "planned"),
            rolled_back(5, 5, "plan"),
        ],
        state(
            {"WP01": "planned"},
            status="active",
            phase="plan",
            phases=("specify", "plan", "implement"),
        ),
    ),
    Replay(
        "cancel-beats-completion-and-reopening",
        "A cancellation decides among events of equal clock, and nothing reopens the mission.",
        [
            started(1, 1),
            move(2, 2, None, "planned"),
            completed(3, 5),
            cancelled(4, 5),
            rolled_back(5, 5, "plan"),
            started(6, 6),
            entered(7, 7, "plan"),
        ],
        state(
            {"WP01": "planned"},
            (
                (3, "outranked_by_cancellation"),
                (5, "outranked_by_cancellation"),
                (6, "after_mission_end"),
                (7, "after_mission_end"),
            ),
            status="cancelled",
            phase="specify",
            phases=("specify",),
        ),
    ),
    Replay(
        "out-of-turn-mission-events",
        "Events before the start and a second start are told, not applied.",
        [entered(1, 1, "plan"), started(2, 2), started(3, 3), completed(4, 4)],
        state(
            {},
            ((1, "before_mission_started"), (3, "mission_started_twice")),
            status="completed",
            phase="accept",
            phases=("specify",),
        ),
    ),
    Replay(
        "unreadable-payloads",
        "Events whose payload breaks its rules are told, not applied.",
        [
            move(1, 1, None, "planned"),
            move(2, 2, "planned", "doing"),
            mission(3, 3, "MissionStarted"),
            move(4, 4, "planned", "claimed"),
        ],
        state({"WP01": "claimed"}, ((2, "invalid_payload"), (3, "invalid_payload"))),
    ),
)
