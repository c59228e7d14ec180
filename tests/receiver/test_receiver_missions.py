"""Boards: what stored events amount to, read over HTTP."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from receiver_server import PROJECT, Server, event

_RECORDED = Path(__file__).parents[2] / "fixtures" / "events" / "recorded"
_MISSION = {"mission_id": "m-1", "actor": "ada"}


def mission(number: int, event_type: str, **payload: Any) -> dict[str, Any]:
    """Return a mission event."""
    return event(
        number, event_type=event_type, aggregate_type="Mission", aggregate_id="m-1",
        payload={**_MISSION, "feature_slug": "001-sync", **payload},
    )  # fmt: skip


def move(number: int, wp_id: str, from_lane: str | None, to_lane: str) -> dict[str, Any]:
    """Return a status transition of one work package."""
    payload = {
        "feature_slug": "001-sync", "wp_id": wp_id, "from_lane": from_lane, "to_lane": to_lane,
        "actor": "ada", "force": False, "execution_mode": "worktree",
    }  # fmt: skip
    return event(number, event_type="WPStatusChanged", aggregate_id=wp_id, payload=payload)


STORY = [
    mission(1, "MissionStarted", mission_type="software-dev", initial_phase="specify"),
    event(2),
    event(3, payload={"wp_id": "WP02", "title": "Paint", "feature_slug": "001-sync"}),
    move(4, "WP01", None, "planned"),
    move(5, "WP01", "planned", "claimed"),
    move(6, "WP01", "claimed", "in_progress"),
    mission(7, "PhaseEntered", phase_name="implement", previous_phase="specify"),
    move(8, "WP02", "claimed", "in_progress"),
]


def test_missions_board_is_what_the_reducers_say(serve_receiver: Callable[..., Server]) -> None:
    """A board has phase, lanes, titles and anomalies; the order of arrival changes nothing."""
    answers = []
    for seed in range(2):
        server = serve_receiver("--no-auth")
        story = list(STORY)
        random.Random(seed).shuffle(story)
        assert server.statuses(story) == ["success"] * len(story)
        answers.append(server.client.get(f"/api/v1/missions/{PROJECT}/001-sync/").json())
    assert answers[0] == answers[1]
    board = answers[0]
    assert (board["status"], board["phase"]) == ("active", "implement")
    assert board["lanes"] == {"in_progress": ["WP01"], "planned": ["WP02"]}
    assert [each["title"] for each in board["work_packages"]] == ["Lay the foundation", "Paint"]
    assert [each["event_id"] for each in board["anomalies"]] == [STORY[-1]["event_id"]]


def test_missions_list_has_one_line_per_mission(serve_receiver: Callable[..., Server]) -> None:
    """Work packages of the same name in two missions or projects stay apart."""
    server = serve_receiver("--no-auth")
    other = "7c9e6679-7425-40de-944b-e07fc1f90ae8"
    foreign = event(20, project_uuid=other)
    second = event(21, payload={**foreign["payload"], "feature_slug": "002-more"})
    server.statuses([*STORY, foreign, second])
    found = server.client.get("/api/v1/missions/").json()["missions"]
    assert [(each["project_uuid"], each["mission"]) for each in found] == [
        (PROJECT, "001-sync"), (PROJECT, "002-more"), (other, "001-sync"),
    ]  # fmt: skip
    assert [sum(each["lanes"].values()) for each in found] == [2, 1, 1]
    one = server.client.get(f"/api/v1/missions/?project_uuid={other}").json()["missions"]
    assert one == found[2:]
    assert server.client.get(f"/api/v1/missions/{PROJECT}/no-such/").status_code == 404
    assert server.client.get("/api/v1/missions/nonsense/001-sync/").status_code == 400


def test_missions_of_a_real_cli_drain_and_show(serve_receiver: Callable[..., Server]) -> None:
    """What spec-kitty-cli 3.0.3 queued is taken whole and gives the board it should."""
    server = serve_receiver("--no-auth")
    lines = (_RECORDED / "cli-3.0.3.jsonl").read_bytes().splitlines()
    answer = server.post_bytes(b'{"events":[' + b",".join(lines) + b"]}").json()
    assert {each["status"] for each in answer["results"]} == {"success"}
    project = json.loads(lines[0])["project_uuid"]
    board = server.client.get(f"/api/v1/missions/{project}/001-billing-flow/").json()
    assert board["lanes"] == {"for_review": ["WP01"], "planned": ["WP02"]}
    assert {each["reason"] for each in board["anomalies"]} == {"gap"}
