"""Live delivery against the reference receiver's real socket."""

from __future__ import annotations

import signal
from threading import Thread

import pytest
from producing import Desk, Wire, ledger, live_client, live_emitter, note
from waiting import wait_until
from websockets.sync.server import serve

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync.errors import OfflineError, ReceiverProtocolError
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.status import build_status
from spec_kitty_sync.sync.websocket import WebSocketClient, WsDeadlines
from spec_kitty_sync.sync.ws_session import WsSession


@pytest.fixture
def receiver(make_receiver, desk):
    """A receiver that the desk is logged in at."""
    started = make_receiver()
    desk.target(started.url)
    desk.login(started.url)
    return started


def test_live_event_is_stored_and_settled_by_its_ack(desk, receiver):
    """An event emitted over a live connection is delivered when emit returns, once."""
    with live_emitter(desk, receiver.url) as emitter:
        ids = [note(emitter, str(n)) for n in range(3)]
    assert receiver.ids() == ids
    assert ledger(desk) == (3, 0)
    assert drain_home(desk.settings).selected == 0


def test_live_bytes_are_the_stored_bytes(desk, receiver):
    """What the receiver keeps is what the journal keeps."""
    with live_emitter(desk, receiver.url) as emitter:
        event = emitter.emit_history_added("WP01", entry_type="note", entry_content="ünï 日本")
        stored = emitter.queue.get(event.event_id)
    assert receiver.events() == [event.model_dump(mode="json")]
    assert stored is not None
    assert stored.body == event.to_wire()


def test_event_waits_for_the_drain_while_an_older_one_is_open(desk, receiver):
    """Nothing overtakes: live sending begins when nothing older is open."""
    with open_emitter(desk.settings) as emitter:
        older = note(emitter, "older")
    with live_emitter(desk, receiver.url) as emitter:
        newer = note(emitter, "newer")
        assert receiver.ids() == []
        drain_home(desk.settings)
        assert receiver.ids() == [older, newer]
        live = note(emitter, "live")
        assert receiver.ids() == [older, newer, live]
    assert ledger(desk) == (3, 0)


def test_event_is_left_alone_while_a_drain_runs(desk, receiver):
    """Where another process drains, the event waits for it."""
    from spec_kitty_sync.delivery.lock import drain_lock

    with live_emitter(desk, receiver.url) as emitter:
        note(emitter, "registers the target")
        with drain_lock(desk.home.locks_dir, 1, clock=SystemClock()):
            note(emitter, "waits")
        assert len(receiver.ids()) == 1
    drain_home(desk.settings)
    assert len(receiver.ids()) == 2
    assert ledger(desk) == (2, 0)


def test_rejected_event_is_recorded_as_rejected(desk, make_receiver):
    """A receiver's refusal over the live connection counts as one rejection, and is kept."""
    receiver = make_receiver("--tiers", "2")
    desk.target(receiver.url)
    desk.login(receiver.url)
    with live_emitter(desk, receiver.url) as emitter:
        note(emitter)
    section = build_status(desk.settings).delivery_ledger
    assert (section.rejected, section.delivered_current_target) == (1, 0)
    assert receiver.ids() == []


def test_session_of_the_last_login_carries_nothing_for_the_next(desk, receiver):
    """When somebody else logs in, the open session is not used: events wait for their drain."""
    with live_emitter(desk, receiver.url) as emitter:
        desk.login(receiver.url, "bob")
        note(emitter, "as bob")
        assert emitter.ws_client.connected
    assert receiver.ids() == []
    assert ledger(desk) == (0, 1)


def test_killed_server_leaves_the_event_to_the_drain(desk, receiver):
    """An event that got no ack is delivered exactly once by the drain after the server is back."""
    with live_emitter(desk, receiver.url) as emitter:
        first = note(emitter, "first")
        receiver.stop(signal.SIGKILL)
        second = note(emitter, "second")
        assert ledger(desk) == (1, 1)
        receiver.start()
        drain_home(desk.settings)
        assert receiver.ids() == [first, second]
        emitter.ws_client.connect()
        third = note(emitter, "third")
        assert receiver.ids() == [first, second, third]
    assert ledger(desk) == (3, 0)


def test_event_stored_without_an_ack_is_not_stored_twice(desk, receiver):
    """A server that stores and dies before its ack sees the same id again: a duplicate."""
    with live_emitter(desk, receiver.url, ack_s=0.0) as emitter:
        event_id = note(emitter)  # the frame arrives, nobody waits for the ack
        wait_until(lambda: receiver.ids() == [event_id])
    assert ledger(desk) == (0, 1)
    report = drain_home(desk.settings)
    assert (report.delivered, report.duplicates) == (0, 1)
    assert receiver.ids() == [event_id]
    assert ledger(desk) == (1, 0)


def test_cut_wire_leaves_the_event_to_the_drain_once(desk, receiver):
    """A connection that is cut while the ack is awaited: delivered exactly once after all."""
    wire = Wire(receiver.port)
    desk.target(wire.url)
    desk.login(wire.url)
    with live_emitter(desk, wire.url, ack_s=0.5) as emitter:
        first = note(emitter, "first")
        wire.stall()
        second = note(emitter, "second")
        assert not emitter.ws_client.connected
        claims = emitter.parts.store.conn.execute("SELECT count(*) FROM delivery_claims")
        assert claims.fetchone() == (0,)
        wire.cut()
        wire.mend()
        third = note(emitter, "third")
        assert ledger(desk) == (1, 2)
        drain_home(desk.settings)
        emitter.ws_client.connect()
        fourth = note(emitter, "fourth")
    assert receiver.ids() == [first, second, third, fourth]
    assert ledger(desk) == (4, 0)
    wire.cut()


def test_clock_goes_past_what_others_sent(desk, receiver, tmp_path):
    """Snapshot and frames of others move our clock before the next event."""
    other = Desk(tmp_path / "other")
    other.target(receiver.url)
    other.login(receiver.url)
    with open_emitter(other.settings) as theirs:
        theirs.clock.receive(500)
        theirs.emit_history_added("WP02", entry_type="note", entry_content="x")
    drain_home(other.settings)
    with live_emitter(desk, receiver.url) as emitter:
        after_snapshot = emitter.emit_history_added("WP01", entry_type="note", entry_content="a")
        assert after_snapshot.lamport_clock > 502
        with live_emitter(other, receiver.url) as theirs:
            theirs.clock.receive(9000)
            sent = theirs.emit_history_added("WP02", entry_type="note", entry_content="y")
        wait_until(lambda: emitter.clock.value > sent.lamport_clock)
        after_frame = emitter.emit_history_added("WP01", entry_type="note", entry_content="b")
        assert after_frame.lamport_clock > sent.lamport_clock


def test_connecting_to_nobody_says_offline(desk, receiver):
    """Without a server, connect refuses and the emitter goes on by the journal."""
    with open_emitter(desk.settings) as emitter:
        emitter.ws_client = live_client(desk, receiver.url, emitter)
        receiver.stop()
        with pytest.raises(OfflineError):
            emitter.ws_client.connect()
        note(emitter)
    assert ledger(desk) == (0, 1)


def test_session_that_ends_before_its_snapshot_is_not_waited_for(desk):
    """A server that takes the session and ends it at once holds nobody up until the deadline."""
    refused = []

    def connect(emitter, port):
        session = WsSession(f"ws://127.0.0.1:{port}/", None)
        client = WebSocketClient(
            f"http://127.0.0.1:{port}",
            lambda: session,
            on_clock=emitter.clock.note,
            deadlines=WsDeadlines(open_s=3600),
        )
        with pytest.raises(ReceiverProtocolError):
            client.connect()
        refused.append(client)

    with (
        serve(lambda connection: None, "127.0.0.1", 0) as server,
        open_emitter(desk.settings) as emitter,
    ):
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        Thread(target=connect, args=(emitter, port), daemon=True).start()
        wait_until(lambda: refused)
    assert not refused[0].connected


@pytest.mark.parametrize(
    "ws_url",
    [
        "ws://example.org/api/v1/ws/",
        "wss://127.0.0.1.evil.example/ws",
        "http://127.0.0.1/ws",
        "ws://user:pw@127.0.0.1/ws",
        "not a url",
        7,
        None,
    ],
)
def test_session_at_another_host_is_refused(ws_url):
    """The token of a session goes to the target's own host, by wss or to this machine."""
    import json

    from spec_kitty_sync.sync.ws_session import _read

    body = json.dumps({"ws_url": ws_url, "ws_token": "secret-token"}).encode()
    with pytest.raises(ReceiverProtocolError) as caught:
        _read("http://127.0.0.1:8000", body)
    assert "secret-token" not in str(caught.value)
