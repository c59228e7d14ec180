"""Gates that only a server's word or a second look can close, and whose token goes where."""

from __future__ import annotations

import pytest
from producing import Desk, ledger, live_emitter, note
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from spec_kitty_sync.auth.credentials import load_credentials
from spec_kitty_sync.errors import CredentialError, DeliveryBlockedError
from spec_kitty_sync.sync.blocked import BlockedReason, reason_of_stop
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.status import build_status

PAIR = {"access": "a-token", "refresh": "r", "access_lifetime": 3600, "refresh_lifetime": 7200}


def emit(desk: Desk) -> str | None:
    """Emit one event and return the reason beside it."""
    with open_emitter(desk.settings) as emitter:
        event = emitter.emit_history_added("WP01", entry_type="note", entry_content="x")
        return emitter.parts.runs.reason_of(event.event_id)


class Teamspace:
    """A server whose batches are answered as a test says; it counts what it was sent."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.status = 200
        self.tokens: list[str | None] = []
        server.expect_request("/api/v1/token/").respond_with_json({**PAIR, "team_slug": "team-a"})
        server.expect_request("/api/v1/events/batch/").respond_with_handler(self._batch)

    def _batch(self, request: Request) -> Response:
        import gzip
        import json

        self.tokens.append(request.headers.get("Authorization"))
        if self.status != 200:
            return Response('{"error": "not for you"}', self.status)
        events = json.loads(gzip.decompress(request.data))["events"]
        results = [{"event_id": event["event_id"], "status": "success"} for event in events]
        return Response(json.dumps({"results": results}), 200)


@pytest.fixture
def teamspace(httpserver: HTTPServer, desk: Desk) -> Teamspace:
    """A Teamspace that the desk is logged in at."""
    made = Teamspace(httpserver)
    desk.target(made.url)
    desk.login(made.url)
    return made


def test_forbidden_batch_closes_the_private_gate_until_the_next_login(desk, teamspace):
    """After a 403 nothing is sent, what waits says why, and a new login opens the way."""
    teamspace.status = 403
    emit(desk)
    report = drain_home(desk.settings)
    assert report.stop is not None
    assert report.stop.http_status == 403
    assert build_status(desk.settings).background.blocked[0].reason == "private_teamspace"
    assert emit(desk) == "private_teamspace"
    sent = len(teamspace.tokens)
    with pytest.raises(DeliveryBlockedError) as caught:
        drain_home(desk.settings)
    assert caught.value.facts["reason"] == "private_teamspace"
    assert "auth login" in caught.value.remedy
    assert len(teamspace.tokens) == sent
    teamspace.status = 200
    desk.login(teamspace.url)
    assert emit(desk) is None
    assert drain_home(desk.settings).delivered == 3
    assert build_status(desk.settings).background.blocked == ()


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "protocol_mismatch"), (412, "protocol_mismatch"), (302, "protocol_mismatch")],
)
def test_server_that_speaks_otherwise_is_written_beside_the_events(desk, teamspace, status, reason):
    """What the latest attempt came to stands beside every event that waits."""
    teamspace.status = status
    emit(desk)
    emit(desk)
    drain_home(desk.settings)
    (blocked,) = build_status(desk.settings).background.blocked
    assert (blocked.reason, blocked.events) == (reason, 2)
    teamspace.status = 200
    drain_home(desk.settings)
    assert build_status(desk.settings).background.blocked == ()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("interrupted", None),
        ("offline", "offline"),
        ("tls", "offline"),
        ("throttled", "offline"),
        ("server_down", "offline"),
        ("auth_expired", "no_auth"),
        ("sync_disabled", "sync_disabled"),
        ("receiver_refuses_all", "protocol_mismatch"),
        ("anything new", "protocol_mismatch"),
    ],
)
def test_every_stop_has_a_word(code, reason):
    """Whatever ends a drain is written down in the ten words of the contract."""
    assert reason_of_stop(code) == reason
    assert reason_of_stop("forbidden", private_gate=True) is BlockedReason.PRIVATE_TEAMSPACE


def test_closed_gate_keeps_a_live_connection_quiet(desk, make_receiver):
    """A connection that stands is not used while a gate is closed."""
    receiver = make_receiver()
    desk.target(receiver.url)
    desk.login(receiver.url)
    with live_emitter(desk, receiver.url) as emitter:
        sent = note(emitter)
        config = desk.project / ".kittify" / "config.yaml"
        before = config.read_text()
        config.write_text(before + "sync:\n  mode: LOCAL_RETENTION\n")
        kept = note(emitter)
        assert emitter.ws_client.connected
        assert receiver.ids() == [sent]
        config.write_text(before)
        note(emitter)
        drain_home(desk.settings)
        assert receiver.ids()[:2] == [sent, kept]
    assert ledger(desk) == (3, 0)


def test_operators_token_goes_to_the_configured_origin_only(desk, teamspace, httpserver):
    """The token named in config.toml is not sent to a server that the environment names."""
    desk.auth(teamspace.url).logout()
    desk.target("http://127.0.0.1:9", token_env="MY_TOKEN")
    desk.environ.update(
        MY_TOKEN="for-port-nine",
        SPEC_KITTY_SAAS_URL=teamspace.url,
        SPEC_KITTY_TARGET_OVERRIDE="process",
    )
    emit(desk)
    drain_home(desk.settings)
    assert teamspace.tokens == [None]
    desk.environ.clear()
    desk.environ["MY_TOKEN"] = "for-teamspace"
    desk.target(teamspace.url, token_env="MY_TOKEN")
    emit(desk)
    drain_home(desk.settings)
    assert teamspace.tokens[-1] == "Bearer for-teamspace"


def test_token_variable_that_is_not_set_is_refused_by_name(desk, teamspace):
    """A missing variable is named before anything is sent."""
    desk.auth(teamspace.url).logout()
    desk.target(teamspace.url, token_env="MY_TOKEN")
    emit(desk)
    with pytest.raises(CredentialError, match="MY_TOKEN"):
        drain_home(desk.settings)
    assert teamspace.tokens == []


def test_login_elsewhere_is_seen_by_an_open_emitter(desk, teamspace):
    """An emitter that is open notices a logout and a login of other processes."""
    with open_emitter(desk.settings) as emitter:

        def team() -> str | None:
            return emitter.emit_history_added(
                "WP01", entry_type="note", entry_content="x"
            ).team_slug

        assert team() == "team-a"
        desk.auth(teamspace.url).logout()
        assert team() == "local"
        desk.login(teamspace.url)
        assert load_credentials(desk.home.credentials) is not None
        assert team() == "team-a"
