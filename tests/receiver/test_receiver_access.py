"""Who may send what: tokens, users, teams, the protocol gate, the rate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from receiver_server import PROJECT, Server, event

_USERS = f"""
[[user]]
username = "ada"
password = "engine"
team = "team-a"
tokens = ["token-a"]
expired_tokens = ["token-old"]

[[user]]
username = "bob"
team = "team-b"
projects = ["{PROJECT}"]
tokens = ["token-b"]
"""


@pytest.fixture
def users(tmp_path: Path) -> str:
    """A file with two users in two teams."""
    path = tmp_path / "users.toml"
    path.write_text(_USERS)
    return str(path)


def bearer(token: str) -> dict[str, str]:
    """Return the header for *token*."""
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer a b", "Bearer nope", "Basic dG9r", "Bearer sks1.e30.AAAA", "tok"],
)
def test_access_without_a_good_token_is_401(
    serve_receiver: Callable[..., Server], header: str
) -> None:
    """A missing or bad token is answered 401 before the body is parsed; nothing is stored."""
    server = serve_receiver("--token", "secret-token")
    headers = {"Authorization": header} if header else {}
    for body in (b"{", b'{"events":[' + b"1," * 3_000_000):
        answer = server.post_bytes(body, **headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]
    assert server.post([event()], **headers).status_code == 401
    answer = server.post([event()], Authorization="bEARER secret-token")
    assert answer.json()["results"][0]["status"] == "success"


def test_access_token_comes_from_the_environment(serve_receiver: Callable[..., Server]) -> None:
    """`--token-env NAME` takes the token from that variable."""
    server = serve_receiver("--token-env", "RTOK", env={**os.environ, "RTOK": "from-env"})
    assert server.post([event()]).status_code == 401
    assert server.post([event()], **bearer("from-env")).status_code == 200


def test_access_choice_must_be_exactly_one() -> None:
    """No way in, two ways in or an unset variable end with exit code 2 and a remedy."""
    for options in ([], ["--no-auth", "--token", "x"], ["--token-env", "UNSET_NAME"]):
        command = [sys.executable, "-m", "spec_kitty_sync", "receiver", "serve", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr


def test_access_login_and_refresh_give_working_tokens(
    serve_receiver: Callable[..., Server], users: str
) -> None:
    """Login answers the contract's five fields; access and refresh tokens work for their kind."""
    server = serve_receiver("--users", users)
    wrong = server.client.post("/api/v1/token/", json={"username": "ada", "password": "x"})
    assert wrong.status_code == 401
    login = {"username": "ada", "password": "engine"}
    pair = server.client.post("/api/v1/token/", json=login).json()
    assert set(pair) == {"access", "refresh", "access_lifetime", "refresh_lifetime", "team_slug"}
    assert pair["team_slug"] == "team-a"
    assert server.post([event()], **bearer(pair["refresh"])).status_code == 401
    assert server.post([event()], **bearer(pair["access"])).status_code == 200
    again = server.client.post("/api/v1/token/refresh/", json={"refresh": pair["refresh"]}).json()
    assert server.post([event()], **bearer(again["access"])).status_code == 200
    forged = pair["access"][:-4] + "AAAA"
    assert server.post([event()], **bearer(forged)).status_code == 401
    refused = server.client.post("/api/v1/token/refresh/", json={"refresh": pair["access"]})
    assert refused.status_code == 401


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"username":{},"password":[]}', b'"\\ud800"'])
def test_access_login_with_nonsense_is_no_server_error(
    serve_receiver: Callable[..., Server], body: bytes
) -> None:
    """A login body of any shape is answered 400 or 401 as JSON."""
    server = serve_receiver("--token", "t")
    for path in ("/api/v1/token/", "/api/v1/token/refresh/"):
        answer = server.client.post(path, content=body)
        assert answer.status_code in (400, 401)
        assert answer.json()["error"]


def test_access_expired_token_is_401(serve_receiver: Callable[..., Server], users: str) -> None:
    """An expired token is answered 401, a static one and a signed one alike."""
    server = serve_receiver("--users", users, "--access-lifetime", "0")
    login = {"username": "ada", "password": "engine"}
    pair = server.client.post("/api/v1/token/", json=login).json()
    for token in ("token-old", pair["access"]):
        answer = server.post([event()], **bearer(token))
        assert answer.status_code == 401
        assert "expired" in answer.json()["error"]


def test_access_of_a_team_ends_at_its_border(
    serve_receiver: Callable[..., Server], users: str
) -> None:
    """A token writes its own team's events and nobody's; ids are unique per team."""
    server = serve_receiver("--users", users)
    sent = [
        event(1, team_slug="team-a"), event(2, team_slug="team-b"),
        event(3, team_slug="local"), event(4, team_slug=None),
    ]  # fmt: skip
    results = server.post(sent, **bearer("token-a")).json()["results"]
    assert [each["status"] for each in results] == ["success", "rejected", "success", "success"]
    assert results[1]["error_category"] == "team_scope"
    assert "team_slug" in results[1]["error"]
    other = server.post([event(3, team_slug="local")], **bearer("token-b")).json()["results"]
    assert other[0]["status"] == "success"
    pages = server.client.get("/api/v1/events/", headers=bearer("token-a")).json()
    assert len(pages["events"]) == 3


def test_access_to_projects_can_be_limited(
    serve_receiver: Callable[..., Server], users: str
) -> None:
    """A user with projects writes and reads only those, in batches that mix projects too."""
    server = serve_receiver("--users", users)
    foreign = "7c9e6679-7425-40de-944b-e07fc1f90ae8"
    sent = [event(1), event(2, project_uuid=foreign), event(3)]
    results = server.post(sent, **bearer("token-b")).json()["results"]
    assert [each["status"] for each in results] == ["success", "rejected", "success"]
    assert "project_uuid" in results[1]["error"]
    read = server.client.get
    assert read("/api/v1/events/", headers=bearer("token-b")).status_code == 403
    own = read(f"/api/v1/events/?project_uuid={PROJECT}", headers=bearer("token-b")).json()
    assert len(own["events"]) == 2


def test_access_protocol_gate_explains_itself(serve_receiver: Callable[..., Server]) -> None:
    """A protocol version that is not spoken is answered 412 with guidance, nothing stored."""
    server = serve_receiver("--no-auth", "--protocol", "1.0")
    answer = server.post([event()], X_Spec_Kitty_Sync_Protocol="2.0")
    assert answer.status_code == 412
    assert answer.json()["error_code"] == "protocol_mismatch"
    assert "1.0" in answer.json()["sync_protocol"]["upgrade_guidance"]
    spoken = server.post([event()], X_Spec_Kitty_Sync_Protocol="1.0").json()
    assert spoken["results"][0]["status"] == "success"


def test_access_above_the_rate_is_429(serve_receiver: Callable[..., Server]) -> None:
    """Above the rate the answer is 429 with Retry-After, and the same batch succeeds later."""
    server = serve_receiver("--no-auth", "--rate", "0.1")
    answers = [server.post([event(number)]) for number in (1, 2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].json()["error"]
    assert 1 <= int(answers[1].headers["retry-after"]) <= 10


def test_access_by_tier_can_be_limited(serve_receiver: Callable[..., Server]) -> None:
    """Events of other data tiers are rejected with the category `data_tier`."""
    server = serve_receiver("--no-auth", "--tiers", "1,2")
    results = server.post([event(1, data_tier=3), event(2, data_tier=2), event(3)]).json()
    assert [each["status"] for each in results["results"]] == ["rejected", "success", "success"]
    assert results["results"][0]["error_category"] == "data_tier"


def test_access_token_never_comes_back(serve_receiver: Callable[..., Server]) -> None:
    """No answer, header or log line quotes the token."""
    server = serve_receiver("--token", "canary-93152")
    answers = [
        server.post([event()], **bearer("canary-93152")),
        server.post([event()], **bearer("canary-93152x")),
        server.client.get("/api/v1/sync/health/", headers=bearer("canary-93152")),
        server.client.get("/canary", headers=bearer("canary-93152")),
    ]
    assert server.stop() == 0
    assert server.process.stderr is not None
    assert "canary-93152" not in server.process.stderr.read()
    for answer in answers:
        assert "canary-93152" not in answer.text + str(answer.headers)


def test_access_by_pack_can_be_limited(serve_receiver: Callable[..., Server]) -> None:
    """With `--packs core` a type of older CLIs is refused by name; a pack must exist."""
    server = serve_receiver("--no-auth", "--packs", "core")
    sent = event(1, event_type="BuildHeartbeat", aggregate_type="Build", payload={})
    (result,) = server.post([sent]).json()["results"]
    assert (result["status"], result["error_category"]) == ("rejected", "schema_mismatch")
    assert "BuildHeartbeat" in result["error"]
    command = [sys.executable, "-m", "spec_kitty_sync", "receiver", "serve", "--no-auth"]
    done = subprocess.run(
        [*command, "--packs", "cor"], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 2
    assert "core" in done.stderr


def test_access_for_own_types_comes_from_a_folder_of_schemas(
    serve_receiver: Callable[..., Server], tmp_path: Path
) -> None:
    """A type from `--schemas DIR` is taken when its payload fits, refused when not."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    (tmp_path / "LunchServed.schema.json").write_text(json.dumps(schema))
    server = serve_receiver("--no-auth", "--schemas", str(tmp_path))
    sent = [
        event(1, event_type="LunchServed", payload={"n": 1}),
        event(2, event_type="LunchServed", payload={"n": "x"}),
        event(3, event_type="DinnerServed", payload={"n": 1}),
    ]
    results = server.post(sent).json()["results"]
    assert [each["status"] for each in results] == ["success", "rejected", "rejected"]
    assert "n" in results[1]["error"]
    assert "DinnerServed" in results[2]["error"]
