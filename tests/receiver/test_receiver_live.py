"""Live sessions over a real WebSocket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from receiver_server import Server, event, ulid
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect


def ws_token(server: Server, token: str | None = None) -> dict[str, Any]:
    """Return the answer of the ws-token endpoint."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = server.client.post("/api/v1/ws-token", headers=headers)
    assert answer.status_code == 200
    fields = answer.json()
    assert isinstance(fields, dict)
    return fields


@contextmanager
def session(server: Server, token: str | None = None) -> Iterator[ClientConnection]:
    """Open a live session and take its snapshot."""
    fields = ws_token(server, token)
    header = {"Authorization": f"Bearer {fields['ws_token']}"}
    with connect(fields["ws_url"], additional_headers=header, proxy=None) as connection:
        assert receive(connection)["type"] == "snapshot"
        yield connection


def receive(connection: ClientConnection) -> dict[str, Any]:
    """Return the next frame."""
    frame = json.loads(connection.recv(timeout=10))
    assert isinstance(frame, dict)
    return frame


def ask(connection: ClientConnection, frame: Any) -> dict[str, Any]:
    """Send a frame, text or to be encoded, and return the answer."""
    connection.send(frame if isinstance(frame, str) else json.dumps(frame))
    return receive(connection)


def test_live_session_starts_with_a_token_and_a_snapshot(
    serve_receiver: Callable[..., Server],
) -> None:
    """The ws token opens a session; the first frame is a snapshot with the newest clock."""
    server = serve_receiver("--token", "t")
    assert server.client.post("/api/v1/ws-token").status_code == 401
    fields = ws_token(server, "t")
    assert set(fields) == {"ws_url", "ws_token", "expires_in", "session_id"}
    assert fields["ws_url"].startswith(server.url.replace("http://", "ws://"))
    server.post([event(41), event(7)], Authorization="Bearer t")
    header = {"Authorization": f"Bearer {fields['ws_token']}"}
    with connect(fields["ws_url"], additional_headers=header, proxy=None) as connection:
        assert receive(connection) == {"type": "snapshot", "lamport_clock": 41}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer t"}, {"Authorization": "x"}])
def test_live_session_needs_the_ws_token(
    serve_receiver: Callable[..., Server], header: dict[str, str]
) -> None:
    """Without its own token a handshake is answered 401."""
    server = serve_receiver("--token", "t")
    url = server.url.replace("http://", "ws://") + "/api/v1/ws/"
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url, additional_headers=header, proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 401


def test_live_events_are_acknowledged_like_a_batch(serve_receiver: Callable[..., Server]) -> None:
    """Accepted, duplicate and rejected mean what they mean in a batch, and share its ids."""
    server = serve_receiver("--token", "t")
    with session(server, "t") as connection:
        sent = event(1)
        frame = {"type": "event", "event": sent}
        ack = {"type": "ack", "event_id": sent["event_id"]}
        assert ask(connection, frame) == {**ack, "status": "accepted"}
        assert ask(connection, frame) == {**ack, "status": "duplicate"}
        bad = ask(connection, {"type": "event", "event": event(2, payload=None)})
        assert (bad["type"], bad["event_id"], bad["status"]) == ("error", ulid(2), "rejected")
        assert "payload" in bad["error"]
        other = ask(connection, {"type": "event", "event": {**sent, "node_id": "x"}})
        assert other["status"] == "rejected"
    results = server.post([sent], Authorization="Bearer t").json()["results"]
    assert results[0]["status"] == "duplicate"


def test_live_bytes_are_stored_as_they_came(open_receiver: Server) -> None:
    """The event inside a frame is stored with its own blanks and escapes."""
    body = json.dumps(event(900_001, project_slug="x"), indent=1).replace('"x"', '"\\u0078"')
    with session(open_receiver) as connection:
        assert ask(connection, f'{{"type":"event" , "event": {body} }}')["type"] == "ack"
    answer = open_receiver.client.get(f"/api/v1/events/{ulid(900_001)}/")
    assert body.encode() in answer.content


def test_live_nonsense_is_answered_and_the_session_goes_on(open_receiver: Server) -> None:
    """A frame of any other shape gets an error frame; ping gets pong."""
    with session(open_receiver) as connection:
        for frame in ("", "x", "[]", "{}", '{"type":"event"}', "[" * 9999, '{"type":["event"]}'):
            assert ask(connection, frame)["type"] == "error"
        assert ask(connection, {"type": "event", "event": None})["status"] == "rejected"
        assert ask(connection, {"type": "ping"}) == {"type": "pong"}


def test_live_session_hears_what_others_store(open_receiver: Server) -> None:
    """An event stored by a batch or another session is passed on, one's own is not."""
    with session(open_receiver) as one, session(open_receiver) as other:
        sent = event(900_100)
        assert ask(one, {"type": "event", "event": sent})["type"] == "ack"
        assert receive(other) == {"type": "event", "event": sent}
        assert open_receiver.statuses([event(900_101)]) == ["success"]
        assert receive(one)["event"]["event_id"] == ulid(900_101)


def test_live_sessions_do_not_hold_up_the_end(serve_receiver: Callable[..., Server]) -> None:
    """SIGTERM closes open sessions and ends the process with 0."""
    server = serve_receiver("--no-auth")
    with session(server) as connection:
        assert ask(connection, {"type": "event", "event": event(1)})["type"] == "ack"
        assert server.stop() == 0
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=10)


def test_live_session_passes_on_only_what_its_user_may_read(
    serve_receiver: Callable[..., Server], tmp_path: Path
) -> None:
    """A user who is bound to a project hears nothing of the team's other projects."""
    mine = "0c9e6679-7425-40de-944b-e07fc1f90ae7"
    users = tmp_path / "users.toml"
    users.write_text(
        f'[[user]]\nusername="ada"\nteam="a"\ntokens=["t"]\n'
        f'[[user]]\nusername="cy"\nteam="a"\nprojects=["{mine}"]\ntokens=["c"]\n'
    )
    server = serve_receiver("--users", str(users))
    with session(server, "c") as connection:
        server.post([event(1), event(2, project_uuid=mine)], Authorization="Bearer t")
        assert receive(connection)["event"]["event_id"] == ulid(2)
