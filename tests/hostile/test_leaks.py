"""Body and token go to the one server that was chosen, whatever servers and environments try."""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from canary import CANARY
from delivery_bench import Bench
from desk import Desk, make_event
from rude_receiver import RudeReceiver, answer, say_always
from rude_server import RudeServer, reset, say
from tls_server import TlsServer, write_authority

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.auth.client import AuthClient
from spec_kitty_sync.auth.credentials import Credentials, save_credentials
from spec_kitty_sync.errors import ReceiverProtocolError, SpecKittyError, TargetUrlError, TlsError
from spec_kitty_sync.sync.websocket import WebSocketClient, WsDeadlines
from spec_kitty_sync.sync.ws_session import WsSession, ask_session

TOKEN = f"{CANARY}-leak"
REDIRECTS = (300, 301, 302, 303, 305, 307, 308)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy",
           "WS_PROXY", "WSS_PROXY", "SOCKS_PROXY")  # fmt: skip


@pytest.fixture
def trap() -> Iterator[RudeServer]:
    """Somewhere else: nothing may ever connect to it."""
    with RudeServer(say(answer(200, b"{}"))) as server:
        yield server
        assert (server.connections, server.requests) == (0, [])


def log_in(desk: Desk, url: str) -> None:
    """Be logged in at *url*, and have an event to send."""
    desk.put(make_event(1, team_slug=None))
    login = Credentials(url, "ada", "team-a", TOKEN, f"{TOKEN}-refresh")
    save_credentials(desk.home.credentials, login)


def carried(server: RudeServer) -> bool:
    """Whether any request to *server* carried the token."""
    return any(TOKEN.encode() in request for request in server.requests)


# redirects


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "//", "https"])
def test_redirected_batch_goes_nowhere(desk: Desk, rude: RudeReceiver, trap, status, host):
    """Not to another port, name, scheme or family: the drain stops and says what to set."""
    port = trap.url.rpartition(":")[2]
    there = {"//": f"//127.0.0.1:{port}/", "https": f"https://127.0.0.1:{port}/"}
    location = there.get(host, f"http://{host}:{port}/api/v1/events/batch/")
    log_in(desk, rude.url)
    desk.run("sync", "server", rude.url)
    rude.script.append(say_always(answer(f"{status} Elsewhere", b"", {"Location": location})))
    done = desk.run("sync", "now")
    assert done.code == 1
    assert f"the server answered {status}" in done.out
    assert len(rude.batches) == 1
    assert desk.run("sync", "now").code == 0


@pytest.mark.parametrize("status", REDIRECTS)
def test_redirected_login_goes_nowhere(desk: Desk, trap, status):
    """Password, refresh token and session request are never sent on."""
    moved = answer(f"{status} Elsewhere", b"", {"Location": trap.url + "/api/v1/token/"})
    desk.home.ensure()
    with RudeServer(say(moved)) as server, HttpClient() as client:
        auth = AuthClient(
            desk.home.credentials, server.url, clock=SystemClock(), open_client=HttpClient
        )
        with pytest.raises(ReceiverProtocolError, match=str(status)):
            auth.login("ada", "a-password")
        log_in(desk, server.url)
        assert auth.access_token() == TOKEN
        assert auth.refresh() is False
        with pytest.raises(ReceiverProtocolError):
            ask_session(server.url, client, auth)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("place", ["elsewhere", "here"])
def test_redirected_live_session_goes_nowhere(trap, status, place):
    """The handshake's token is not carried on, not even to another path of the same server."""
    with RudeServer(say(b"")) as server:
        to = (trap.url if place == "elsewhere" else server.url).replace("http", "ws")
        moved = f"HTTP/1.1 {status} Moved\r\nLocation: {to}/x\r\nContent-Length: 0\r\n\r\n"
        server._handlers[:] = [say(moved.encode())]
        assert_no_session(server.url.replace("http", "ws") + "/ws")
        assert server.connections == 1


def assert_no_session(ws_url: str) -> None:
    client = WebSocketClient(
        ws_url, lambda: WsSession(ws_url, TOKEN), on_clock=print, deadlines=WsDeadlines(5.0)
    )
    with pytest.raises(SpecKittyError) as caught:
        client.connect()
    assert TOKEN not in f"{caught.value}{caught.value.facts}"
    assert not client.connected


# the environment


@pytest.fixture
def bent(trap: RudeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment that wants everything to go by the trap; returns the file for TLS keys."""
    for name in PROXIES:
        monkeypatch.setenv(name, trap.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.org")
    netrc = tmp_path / "netrc"
    netrc.write_text("default login eve password evil-password\n")
    netrc.chmod(0o600)
    (Path(os.environ["HOME"]) / ".netrc").write_bytes(netrc.read_bytes())
    (Path(os.environ["HOME"]) / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    keys = tmp_path / "tls-keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    return keys


def test_environment_has_no_say_where_a_drain_goes(desk: Desk, rude: RudeReceiver, bent: Path):
    """Proxies and .netrc are ignored: the batch goes straight, with no password of theirs."""
    desk.put(make_event(1))
    desk.run("sync", "server", rude.url)
    assert desk.run("sync", "now").code == 0
    assert all(b"authorization" not in request.lower() for request in rude.requests)


def test_environment_has_no_say_where_a_live_session_goes(bent: Path):
    """The WebSocket client connects straight to its host."""
    with RudeServer(say(answer(404))) as server:
        assert_no_session(server.url.replace("http", "ws") + "/ws")
        assert server.connections == 1


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_environment_has_no_say_whom_to_trust(
    desk: Desk, authority: trustme.CA, bent: Path, tmp_path: Path, monkeypatch, variable: str
):
    """An authority that only a variable names is unknown, and no TLS keys are written down."""
    ca_file = write_authority(authority, tmp_path / "ca.pem")
    monkeypatch.setenv(variable, str(ca_file.parent if variable.endswith("DIR") else ca_file))
    with TlsServer(authority.issue_cert("localhost"), answer(200, b"{}")) as server:
        desk.put(make_event(1))
        desk.run("sync", "server", server.url)
        done = desk.run("sync", "now", SPEC_KITTY_TOKEN=TOKEN)
        assert done.code == 1
        assert "certificate was not accepted" in " ".join(done.out.split())
        assert_no_session(server.url.replace("https", "wss") + "/ws")
    assert b"".join(server.requests) == b""
    assert not bent.exists()


def test_tls_keys_are_not_written_down_for_a_trusted_server(
    authority: trustme.CA, bent: Path, tmp_path: Path
):
    """SSLKEYLOGFILE is not obeyed where a connection does stand."""
    ca_file = write_authority(authority, tmp_path / "ca.pem")
    with (
        TlsServer(authority.issue_cert("localhost"), answer(200, b"{}")) as server,
        HttpClient(ca_file=ca_file) as client,
    ):
        assert client.request("GET", server.url).status == 200
    assert not bent.exists()


# TLS


def _day(distance: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=distance)


@pytest.mark.parametrize(
    ("name", "days"),
    [("localhost", (-20, -10)), ("localhost", (10, 20)), ("other.example", (-10, 10)),
     ("*.localhost", (-10, 10))],
    ids=["expired", "not yet valid", "other host", "wildcard"],
)  # fmt: skip
def test_certificate_that_is_not_good_ends_before_anything_is_sent(
    authority: trustme.CA, tmp_path: Path, name: str, days: tuple[int, int]
):
    """Expired, future and foreign certificates of a trusted authority are refused."""
    ca_file = write_authority(authority, tmp_path / "ca.pem")
    leaf = authority.issue_cert(name, not_before=_day(days[0]), not_after=_day(days[1]))
    with (
        TlsServer(leaf, answer(200, b"{}")) as server,
        HttpClient(ca_file=ca_file) as client,
        pytest.raises(TlsError) as caught,
    ):
        client.request("POST", server.url, headers={"Authorization": TOKEN}, body=b"secret")
    assert b"".join(server.requests) == b""
    assert TOKEN not in caught.value.message


# where plain http may go

LOOK_ALIKES = (
    "http://127.evil.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example",
    "http://notlocalhost", "http://localhost-", "http://loсalhost", "http://localhost%2eevil.example",
    "http://[::ffff:1.2.3.4]", "http://[::ffff:10.0.0.1]", "http://[::]", "http://[::2]",
    "http://2130706433", "http://0x7f000001", "http://017700000001", "http://0177.0.0.1",
    "http://0x7f.0.0.1", "http://127.1", "http://0", "http://0.0.0.0", "http://128.0.0.1",
    "http://127.0.0.1@evil.example", "http://user:pw@127.0.0.1", "http://127.0.0.1:80@evil.example",
    "http://127.0.0.1\\@evil.example", "http://evil.example\\@127.0.0.1", "http://127.0.0.1#@evil.example",
    "http://127.0.0.1\t.evil.example", "http://127.0.0.1\r\nHost: evil.example",
    "http://127.0.0.1 .evil.example", "http://127.0.0.1%00.evil.example", "http://[127.0.0.1]",
    "http://①②⑦.evil.example", "http://127。0。0。1.evil.example", "http://169.254.169.254",
    "http://[::ffff:169.254.169.254]", "https://169.254.169.254", "https://[fe80::1]",
    "https://[::ffff:a9fe:a9fe]", "https://2852039166", "https://user@evil.example",
    "http:/127.0.0.1", "http:127.0.0.1", "//127.0.0.1", "ftp://127.0.0.1", "javascript:alert(1)", "file:///etc/passwd",
    "http://", "http://:80", "http://127.0.0.1:99999", "http://127.0.0.1:-1", "https://xn--a.example",
    "https://a..example", "https://" + "a" * 300, "http://evil.example",
)  # fmt: skip


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any look-up of a name, and any connection, fails the test."""

    def refuse(*args: object, **named: object) -> None:
        raise AssertionError(f"the network was asked for {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("url", LOOK_ALIKES)
def test_address_that_only_looks_local_is_never_asked(desk: Desk, no_network, url: str):
    """Refused by the environment's name and by the configured one, before any look-up."""
    desk.put(make_event(1))
    for environ in ({"SPEC_KITTY_SAAS_URL": url}, {}):
        if not environ:
            desk.run("sync", "server", url)
        done = desk.run("sync", "now", SPEC_KITTY_TOKEN=TOKEN, **environ)
        assert done.code in (1, 2), done
        assert TOKEN not in done.out + done.err
        assert "Traceback" not in done.out + done.err
    assert desk.sql("SELECT count(*) FROM delivery_ledger WHERE state = 'delivered'") == [(0,)]


def own_address() -> str | None:
    """Return an address of this machine that is not loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
def test_name_below_localhost_that_leads_elsewhere_is_not_told_anything(monkeypatch):
    """`x.localhost` counts as this machine only where the resolver agrees."""
    look_up = socket.getaddrinfo

    def mislead(host, *rest, **named):
        return look_up(own_address() if host == "x.localhost" else host, *rest, **named)

    listener = socket.create_server(("0.0.0.0", 0))
    monkeypatch.setattr(socket, "getaddrinfo", mislead)
    port = listener.getsockname()[1]
    with listener, HttpClient() as client:
        with pytest.raises(TargetUrlError, match="plain http"):
            client.request("POST", f"http://x.localhost:{port}/", body=TOKEN.encode())
        assert_no_session(f"ws://x.localhost:{port}/ws")
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(100) == b""


# whose token it is


@pytest.mark.parametrize("kind", ["port", "name", "scheme"])
def test_token_of_one_server_never_reaches_another(desk: Desk, rude: RudeReceiver, kind: str):
    """Another port, another name of the same machine, another scheme: another origin."""
    port = rude.url.rpartition(":")[2]
    issuer = {"port": "http://127.0.0.1:1", "name": f"http://localhost:{port}",
              "scheme": f"https://127.0.0.1:{port}"}[kind]  # fmt: skip
    log_in(desk, issuer)
    desk.run("sync", "server", rude.url)
    for command in (["now"], ["now", "--target", rude.url], ["status", "--check"], ["doctor"]):
        desk.run("sync", *command)
    desk.run("sync", "now", SPEC_KITTY_SYNC_MODE="teamspace")
    assert not carried(rude)
    log_in(desk, rude.url)
    desk.put(make_event(2))
    desk.run("sync", "now")
    assert carried(rude)


def test_named_token_stays_with_the_server_it_was_named_for(desk: Desk, rude: RudeReceiver):
    """`--token-env` belongs to the configured server, not to the one of this run."""
    desk.put(make_event(1))
    desk.run("sync", "server", "http://127.0.0.1:1", "--token-env", "MY_TOKEN")
    environ = {"MY_TOKEN": TOKEN}
    desk.run("sync", "now", "--target", rude.url, **environ)
    process = {"SPEC_KITTY_SAAS_URL": rude.url, "SPEC_KITTY_TARGET_OVERRIDE": "process"}
    desk.run("sync", "now", **environ, **process)
    desk.run("sync", "server", rude.url)
    desk.run("sync", "now", **environ)
    assert rude.batches
    assert not carried(rude)


@pytest.mark.parametrize("how", [0o644, 0o640, 0o604, "symlink", "folder", "fifo"])
def test_credentials_that_others_could_have_written_are_not_used(
    desk: Desk, rude: RudeReceiver, how: int | str
):
    """An open or odd file is refused with a command, before the server hears anything."""
    log_in(desk, rude.url)
    desk.run("sync", "server", rude.url)
    path = desk.home.credentials
    if isinstance(how, int):
        path.chmod(how)
    else:
        path.rename(path.with_name("credentials.elsewhere"))
        {"symlink": lambda: path.symlink_to("credentials.elsewhere"), "folder": path.mkdir,
         "fifo": lambda: os.mkfifo(path, 0o600)}[how]()  # fmt: skip
    done = desk.run("sync", "now")
    assert done.code == 2, done
    assert "`" in done.err
    assert not carried(rude)
    assert rude.batches == []


# a network that is not there


@pytest.mark.parametrize("url", ["https://nowhere.invalid", "http://127.0.0.1:1"])
def test_server_that_cannot_be_reached_is_offline(desk: Desk, url: str):
    """No name, no listener: one line says so, nothing is lost, and it ends with 1."""
    desk.put(make_event(1))
    desk.run("sync", "server", url)
    result = desk.json("sync", "now", code=1)
    assert (result["stop"]["code"], result["not_sent"]) == ("offline", 1)


def test_connection_that_breaks_while_sending_is_not_offline(bench: Bench):
    """Part of the batch may have arrived: it is sent again, then the server counts as down."""
    noise = os.urandom(100_000).hex()  # does not compress into one packet
    bench.append(3, payload={"x": noise})

    def cut(connection: socket.socket) -> None:
        connection.recv(10)
        reset(connection)

    with RudeServer(cut, read_request=False) as server:
        report = bench.drain(server.url)
        asked = server.connections
    assert report.stop is not None
    assert (report.stop.code, report.transient) == ("server_down", 3)
    assert asked > 3, "nothing was sent again"
