"""What one request promises, whatever the other side does. Real sockets throughout."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from rude_server import RudeServer, read_request, reset, say

from spec_kitty_sync._http import HttpClient, Reply
from spec_kitty_sync.errors import (
    CredentialError,
    DeadlineError,
    OfflineError,
    ResponseTooLargeError,
    TargetUrlError,
    TlsError,
    TransportError,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def client() -> Iterator[HttpClient]:
    with HttpClient(deadline_s=0.6) as client:
        yield client


def drip(head: bytes, drop: bytes):
    """Send *head*, then *drop* again and again, never an end."""

    def handler(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(drop)
            time.sleep(0.05)

    return handler


@pytest.mark.parametrize(
    "handler",
    [
        drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        lambda connection: connection.recv(1),
    ],
    ids=["header", "body", "chunks", "silence"],
)
def test_deadline_covers_the_whole_request(client, handler):
    """A server that drips or is silent is left when the one deadline has passed."""
    with RudeServer(handler) as server:
        began = time.monotonic()
        with pytest.raises(DeadlineError):
            client.request("POST", server.url, body=b"{}")
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "handler",
    [
        say(b""),
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        say(b"HTTP/1.1 two hundred\r\n\r\n"),
        say(b"SSH-2.0-OpenSSH_9.6\r\n"),
        say(b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 2_000_000 + b"\r\n\r\n"),
        reset,
    ],
    ids=["closes", "length lies", "garbage status", "other protocol", "2 MB header", "reset"],
)
def test_broken_answer_is_a_transport_error(client, handler):
    """An answer that cannot be read is reported as lost, not as offline: it may have arrived."""
    with RudeServer(handler) as server:
        with pytest.raises(TransportError) as caught:
            client.request("POST", server.url, body=b"{}")
        assert not isinstance(caught.value, OfflineError)


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1000000\r\n\r\n", b"\r\n"],
    ids=["announced", "endless"],
)
def test_answer_is_read_up_to_its_cap(client, head):
    """An answer beyond the cap is given up, however long it is."""
    answer = say(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 1_000_000)
    with RudeServer(answer) as server, pytest.raises(ResponseTooLargeError):
        client.request("POST", server.url, body=b"{}", limit_bytes=1000)


def test_client_goes_on_after_a_broken_answer(client):
    """A lost answer leaves the client usable."""
    with RudeServer(say(b""), say(OK)) as server:
        with pytest.raises(TransportError):
            client.request("POST", server.url, body=b"{}")
        assert client.request("POST", server.url, body=b"{}") == Reply(
            200, {"content-length": "2"}, b"{}"
        )


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://nowhere.localhost.invalid/"])
def test_no_connection_is_offline(url):
    """Refused connections and unknown names: nothing was sent."""
    with HttpClient(allow_http=True, deadline_s=5) as client, pytest.raises(OfflineError):
        client.request("POST", url, body=b"{}")


@pytest.mark.parametrize(
    "token", ["canary-one\ncanary-two", "canary\r\nX-Api-Key: 1", "canary-é", "canary\0", "canary "]
)
def test_token_that_no_header_may_hold_is_refused_unquoted(client, token):
    """A token with a line break or odd characters is a credential error that does not show it."""
    with RudeServer(say(OK)) as server:
        with pytest.raises(CredentialError) as caught:
            client.request("POST", server.url, headers={"Authorization": f"Bearer {token}"})
        assert server.requests == []
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["https://☃.example/", "https://xn--a/", "https://", "ftp://h/"])
def test_address_that_cannot_be_used_is_a_target_error(client, url):
    """What the HTTP library calls invalid is refused as a target's address."""
    with pytest.raises(TargetUrlError):
        client.request("POST", url)


@pytest.mark.parametrize("host", ["127.example.org", "127.0.0.1.example.org", "127.1.evil"])
def test_name_that_begins_like_loopback_is_another_machine(client, host):
    """Plain http goes to loopback addresses, not to names that look like them."""
    with pytest.raises(TargetUrlError, match="plain http"):
        client.request("POST", f"http://{host}/")


def test_plain_http_to_another_machine_is_refused(client):
    """The token does not cross a network in the clear unless the operator allows it."""
    with pytest.raises(TargetUrlError) as caught:
        client.request("GET", "http://192.0.2.1/")
    assert "--allow-http" in caught.value.remedy


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_environment_proxies_are_ignored(client, monkeypatch, name):
    """No proxy of the environment ever sees a request."""
    with RudeServer(say(OK)) as proxy, RudeServer(say(OK)) as server:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NETRC", "/nonexistent")
        client.request("GET", server.url, headers={"Authorization": "Bearer t"})
        assert (proxy.connections, server.connections) == (0, 1)


def test_answer_is_asked_for_uncompressed_and_never_expanded(client):
    """Identity is asked for; a gzip bomb stays as small as it came."""
    bomb = b"\x1f\x8b" + b"\x00" * 50
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 52\r\n\r\n" + bomb
    with RudeServer(say(answer)) as server:
        assert client.request("GET", server.url).body == bomb
        assert b"accept-encoding: identity" in server.requests[0].lower()


def test_server_that_answers_before_the_body_is_read_is_heard(client):
    """An early 413 is an answer, not a broken pipe."""
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

    def refuse(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(early)
        time.sleep(0.2)

    with RudeServer(refuse, read_request=False) as server:
        reply = client.request("POST", server.url, body=b"x" * 100_000)
        assert reply.status == 413


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, name: str):
    """Return a URL under which a TLS server with a certificate for *name* answers once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with connection, context.wrap_socket(connection, server_side=True) as stream:
                read_request(stream)
                stream.sendall(OK)
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"https://localhost:{listener.getsockname()[1]}", listener, thread


@pytest.mark.parametrize(
    ("name", "trusted"), [("localhost", False), ("other.example", True)], ids=["unknown", "name"]
)
def test_certificate_that_is_not_good_is_a_tls_error(authority, tmp_path, name, trusted):
    """An unknown authority or a wrong host name ends before anything is sent."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    url, listener, thread = tls_server(authority, name)
    client = HttpClient(ca_file=ca_file if trusted else None, deadline_s=5)
    with client, pytest.raises(TlsError):
        client.request("POST", url, body=b"secret")
    listener.close()
    thread.join(5)


def test_own_authority_is_trusted_when_named(authority, tmp_path: Path):
    """A CA file makes a private server usable."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    url, listener, thread = tls_server(authority, "localhost")
    with HttpClient(ca_file=ca_file, deadline_s=5) as client:
        assert client.request("POST", url, body=b"{}").status == 200
    thread.join(5)
    listener.close()


@pytest.mark.parametrize(
    "handler",
    [
        reset,
        say(b""),
        lambda connection: connection.recv(1),
        say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10**6),
    ],
    ids=["reset", "close", "time-out", "too long"],
)
def test_drain_meets_a_rude_server_and_loses_nothing(bench, handler):
    """A server that only breaks connections: three singles, then stop; everything is kept."""
    bench.append(4)
    bench.client = HttpClient(deadline_s=0.2)
    with RudeServer(handler) as server:
        report = bench.drain(server.url)
    bench.client.close()
    assert report.stop.code == "server_down"
    assert (report.transient, report.not_sent) == (3, 1)


def test_drain_without_a_server_stops_offline(bench):
    """No connection: one attempt, `offline`, all events still open, none counted."""
    bench.append(5)
    report = bench.drain("http://127.0.0.1:1")
    assert (report.stop.code, report.not_sent, report.requests) == ("offline", 5, 1)
    assert set(bench.states("http://127.0.0.1:1").values()) == {"open"}
