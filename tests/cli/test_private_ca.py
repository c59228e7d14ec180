"""Servers behind an authority that only the operator's company knows."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import trustme
from desk import make_event
from small_receiver import SmallReceiver
from websockets.sync.server import ServerConnection, serve

from spec_kitty_sync._http import tls_context
from spec_kitty_sync.errors import OfflineError, TlsError
from spec_kitty_sync.sync.config import SyncConfig
from spec_kitty_sync.sync.websocket import WebSocketClient
from spec_kitty_sync.sync.ws_session import WsSession


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def over_tls(authority: trustme.CA) -> SmallReceiver:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return SmallReceiver(tls=context)


@pytest.fixture
def private(authority: trustme.CA) -> Iterator[SmallReceiver]:
    with over_tls(authority) as running:
        yield running


def test_private_server_is_refused_until_its_authority_is_named(desk, private, ca_file):
    """Without `--ca-file` nothing is sent and the remedy names it; with it everything arrives."""
    desk.put(make_event(1))
    assert desk.run("sync", "server", private.url).code == 0
    refused = desk.json("sync", "now", code=1)
    assert refused["stop"]["code"] in ("offline", "tls")
    assert "--ca-file" in refused["stop"]["remedy"]
    assert private.events == []
    assert desk.run("sync", "server", private.url, "--ca-file", str(ca_file)).code == 0
    assert desk.json("sync", "now")["delivered"] == 1
    assert desk.json("sync", "status", "--check")["connection"]["reachable"] is True


def test_named_authority_is_trusted_for_its_server_only(desk, private, authority, ca_file):
    """Another origin with a certificate of the same authority is not believed."""
    desk.put(make_event(1))
    desk.run("sync", "server", private.url, "--ca-file", str(ca_file))
    with over_tls(authority) as other:
        assert desk.json("sync", "now", "--target", other.url, code=1)["delivered"] == 0
        assert other.events == []


def test_choosing_another_server_forgets_the_authority(desk, private, ca_file):
    """`ca_file` belongs to one server; the same server chosen again keeps it."""
    desk.run("sync", "server", private.url, "--ca-file", str(ca_file))
    desk.run("sync", "server", private.url)
    assert SyncConfig.load(desk.home).ca_file == str(ca_file)
    desk.run("sync", "server", "https://sync.example.org")
    assert SyncConfig.load(desk.home).ca_file is None


def test_file_without_certificates_is_refused_and_nothing_is_written(desk, tmp_path):
    """A wrong file is named at once; the settings stay as they were."""
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no certificate")
    done = desk.run("sync", "server", "https://sync.example.org", "--ca-file", str(wrong))
    assert done.code == 2
    assert "notes.txt" in done.err
    assert SyncConfig.load(desk.home).server_url is None


def test_vanished_ca_file_stops_the_drain_with_the_command_that_helps(desk, private, ca_file):
    """A file that is gone at the time of a drain loses nothing and names the way out."""
    desk.put(make_event(1))
    desk.run("sync", "server", private.url, "--ca-file", str(ca_file))
    ca_file.unlink()
    stop = desk.json("sync", "now", code=1)["stop"]
    assert "--ca-file" in stop["remedy"]
    with pytest.raises(TlsError):
        tls_context(ca_file)


def test_environment_adds_no_authority(desk, private, ca_file):
    """Variables that other programs read for certificates are not looked at."""
    desk.put(make_event(1))
    desk.run("sync", "server", private.url)
    done = desk.json("sync", "now", code=1, SSL_CERT_FILE=str(ca_file))
    assert done["delivered"] == 0
    assert private.events == []


@pytest.mark.parametrize("named", [True, False])
def test_live_session_trusts_the_same_authorities(authority, ca_file, named):
    """A live session believes the named authority, and without it nobody private."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def greet(connection: ServerConnection) -> None:
        connection.send('{"type":"snapshot"}')
        for _ in connection:
            pass

    with serve(greet, "localhost", 0, ssl=context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"wss://localhost:{server.socket.getsockname()[1]}/"
        session = WsSession(url, None, ca_file if named else None)
        client = WebSocketClient(url, lambda: session, on_clock=lambda _: None)
        try:
            with nullcontext() if named else pytest.raises(OfflineError):
                client.connect()
            assert client.connected is named
        finally:
            client.disconnect()
            server.shutdown()
            thread.join()
