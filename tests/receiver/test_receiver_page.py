"""The page as HTML and as a stream, over real HTTP; what a browser makes of it is tested apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from receiver_server import PROJECT, Server, event, ulid

from spec_kitty_sync.receiver.page.html import html, joined

USERS = """
[[user]]
username = "ada"
password = "ada's password"
team = "team-a"
tokens = ["token-a"]

[[user]]
username = "bob"
password = "bob's password"
team = "team-b"
tokens = ["token-b"]

[[user]]
username = "cy"
password = "cy's password"
team = "team-a"
projects = ["0c9e6679-7425-40de-944b-e07fc1f90ae7"]
tokens = ["token-c"]
"""
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


@pytest.fixture
def team_server(serve_receiver: Callable[..., Server], tmp_path: Path) -> Server:
    """A receiver with users of two teams."""
    users = tmp_path / "users.toml"
    users.write_text(USERS)
    return serve_receiver("--users", str(users), "--database", str(tmp_path / "r.db"))


def log_in(server: Server, name: str) -> httpx.Client:
    """Return a browser's worth of client with a session."""
    client = httpx.Client(base_url=server.url, trust_env=False, timeout=30)
    form = {"username": name, "password": f"{name}'s password"}
    answer = client.post("/login", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    return client


def stored(server: Server, *events: dict[str, Any], token: str = "token-a") -> None:
    """Post *events* and see them stored."""
    answer = server.post(events, Authorization=f"Bearer {token}")
    assert {each["status"] for each in answer.json()["results"]} == {"success"}


@contextmanager
def stream(client: httpx.Client, path: str, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Open `/live` and yield what arrives, with its `seq`."""
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _messages(answer.iter_lines())


def _messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    seq = 0
    for line in lines:
        if line.startswith("id: "):
            seq = int(line[4:])
        elif line.startswith("data: "):
            yield {**json.loads(line[6:]), "seq": seq}


def test_page_asks_for_a_login_and_keeps_it_from_scripts(team_server: Server) -> None:
    """Without a session every page leads to the login; the session's cookie is HttpOnly."""
    for path in ("/", "/boards", "/rejected", f"/events/{ulid(1)}"):
        answer = team_server.client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert team_server.client.get("/live").status_code == 401
    wrong = team_server.client.post("/login", data={"username": "ada", "password": "x"})
    assert wrong.status_code == 401
    assert "unknown user or wrong password" in wrong.text
    form = {"username": "ada", "password": "ada's password"}
    right = team_server.client.post("/login", data=form)
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_page_takes_no_form_of_another_site(team_server: Server) -> None:
    """A login sent from elsewhere is refused, whatever stands in it."""
    form = {"username": "ada", "password": "ada's password"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = team_server.client.post("/login", data=form, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_page_session_is_no_token_of_the_api(team_server: Server) -> None:
    """What stands in the cookie does not write events, and a bearer token opens no page."""
    client = log_in(team_server, "ada")
    cookie = client.cookies["spec_kitty_receiver"]
    assert team_server.post([event()], Authorization=f"Bearer {cookie}").status_code == 401
    login = {"username": "ada", "password": "ada's password"}
    access = team_server.client.post("/api/v1/token/", json=login).json()["access"]
    cookies = {"Cookie": f"spec_kitty_receiver={access}"}
    assert team_server.client.get("/", headers=cookies).status_code == 303
    client.close()


def test_page_has_a_strict_policy(team_server: Server) -> None:
    """No page allows inline code, foreign sources or frames."""
    for path in ("/login", "/static/page.js", "/static/page.css"):
        policy = team_server.client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
    assert team_server.client.get("/static/..%2fviews.py").status_code == 404


def test_page_shows_what_stands_in_an_event_as_text(team_server: Server) -> None:
    """Markup in any field of an event, refused or stored, never becomes markup of the page."""
    payload = {"wp_id": "WP01", "title": EVIL, "dependencies": [], "feature_slug": EVIL}
    stored(team_server, event(1, payload=payload, project_slug=EVIL, aggregate_id=EVIL))
    refused = event(2, event_type=EVIL, timestamp=EVIL)
    team_server.post([refused], Authorization="Bearer token-a")
    client = log_in(team_server, "ada")
    while "None. The newest" in client.get("/rejected").text:
        pass
    for path in ("/", f"/events/{ulid(1)}", "/boards", "/rejected"):
        page = client.get(path).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page
    client.close()


def test_html_escapes_everything_but_html() -> None:
    """Values are text, wherever they come from; only markup of our own goes through."""
    inner = html("<b>{value}</b>", value=EVIL)
    assert inner.count("<") == 2
    assert html("<p>{inner}{raw}</p>", inner=joined([inner]), raw="<i>").count("<") == 4


def test_page_of_one_team_shows_nothing_of_another(team_server: Server) -> None:
    """Events, boards, refusals and the stream end at the team, and at a user's projects."""
    stored(team_server, event(1, payload={**event()["payload"], "title": "team A's own"}))
    team_server.post([event(2, timestamp="no")], Authorization="Bearer token-a")
    for name in ("bob", "cy"):
        client = log_in(team_server, name)
        for path in ("/", "/boards", "/rejected"):
            page = client.get(path)
            assert page.status_code == 200
            assert ulid(1) not in page.text
            assert ulid(2) not in page.text
            assert PROJECT not in page.text
        assert client.get(f"/events/{ulid(1)}").status_code == 404
        client.close()
    cy = log_in(team_server, "cy")
    assert cy.get(f"/?project={PROJECT}").status_code == 403
    assert cy.get(f"/boards?project={PROJECT}").status_code == 403
    cy.close()


def test_page_filters_by_project_type_mission_and_team(team_server: Server) -> None:
    """Each filter alone and all together leave only what fits."""
    other = "0c9e6679-7425-40de-944b-e07fc1f90ae7"
    note = {"wp_id": "WP01", "entry_type": "note", "entry_content": "n", "author": "ada"}
    mission = {**event()["payload"], "feature_slug": "002-other"}
    stored(
        team_server,
        event(1),
        event(2, event_type="HistoryAdded", payload=note),
        event(3, payload=mission),
        event(4, project_uuid=other),
        event(5, team_slug="team-a"),
    )
    client = log_in(team_server, "ada")
    expected = {
        "type=HistoryAdded": {2},
        "mission=002-other": {3},
        f"project={other}": {4},
        "team=team-a": {5},
        f"project={PROJECT}&type=WPCreated&mission=001-sync": {1, 5},
        "type=%3Cscript%3E": set(),
    }
    for query, numbers in expected.items():
        page = client.get(f"/?{query}").text
        assert {n for n in range(1, 6) if f"/events/{ulid(n)}" in page} == numbers, query
    client.close()


def test_stream_tells_new_events_that_fit_and_resumes_where_it_broke_off(
    team_server: Server,
) -> None:
    """A stream has what its filter lets through; after a break it goes on behind the last one."""
    client = log_in(team_server, "ada")
    with stream(client, "/live?type=WPCreated") as messages:
        stored(team_server, event(1))
        first = next(messages)
    assert first["event_id"] == ulid(1)
    stored(team_server, event(2), event(3, event_type="FeatureCompleted", payload={
        "feature_slug": "001-sync", "completed_at": "2026-02-01T10:00:00Z", "total_wps": 1,
        "total_duration": None}), event(4))  # fmt: skip
    with stream(client, "/live?type=WPCreated", **{"Last-Event-ID": str(first["seq"])}) as messages:
        assert [next(messages)["event_id"] for _ in range(2)] == [ulid(2), ulid(4)]
    client.close()


def test_stream_ends_when_the_receiver_stops(serve_receiver: Callable[..., Server]) -> None:
    """An open page does not hold up the end of the receiver."""
    server = serve_receiver("--no-auth")
    with stream(server.client, "/live") as messages:
        server.post([event(1)])
        next(messages)
        assert server.process is not None
        server.process.terminate()
        assert list(messages) == []
    assert server.process.wait(9) == 0


def test_stream_has_events_that_another_receiver_stored(
    serve_receiver: Callable[..., Server], postgres_database: str
) -> None:
    """Receivers that share a database tell each other's listeners."""
    writing, reading = (
        serve_receiver("--no-auth", "--database", postgres_database) for _ in range(2)
    )
    with stream(reading.client, "/live") as messages:
        writing.post([event(1)])
        assert next(messages)["event_id"] == ulid(1)
