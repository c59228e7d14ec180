"""Login, renewal and logout against a real receiver."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from canary import CANARY
from pytest_httpserver import HTTPServer

from spec_kitty_sync._clock import ManualClock, SystemClock
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.auth.client import AuthClient
from spec_kitty_sync.auth.credentials import Credentials, load_credentials, save_credentials
from spec_kitty_sync.errors import CredentialError, OfflineError, ReceiverProtocolError

PAIR = {
    "access": f"{CANARY}-new-access",
    "refresh": f"{CANARY}-new-refresh",
    "access_lifetime": 3600,
    "refresh_lifetime": 86400,
    "team_slug": "team-a",
}


def at(clock: ManualClock | SystemClock) -> datetime:
    """Return the clock's time."""
    return datetime.fromtimestamp(clock.now_ms() / 1000, UTC)


@dataclass
class Bench:
    """A token server that we script, a credentials file, a clock."""

    server: HTTPServer
    path: Path
    clock: ManualClock

    @property
    def url(self) -> str:
        return self.server.url_for("").rstrip("/")

    def client(self, url: str | None = None) -> AuthClient:
        return AuthClient(self.path, url or self.url, clock=self.clock, open_client=HttpClient)

    def save(
        self,
        *,
        access_s: float = 3600,
        refresh_s: float = 86400,
        server_url: str | None = None,
    ) -> Credentials:
        login = Credentials(
            server_url=server_url or self.url,
            username="ada",
            team_slug="team-a",
            access=f"{CANARY}-old-access",
            refresh=f"{CANARY}-old-refresh",
            access_expires=at(self.clock) + timedelta(seconds=access_s),
            refresh_expires=at(self.clock) + timedelta(seconds=refresh_s),
            login="first-login",
        )
        save_credentials(self.path, login)
        return login

    def answers(self, path: str, body: object = PAIR, status: int = 200) -> None:
        self.server.expect_request(path, method="POST").respond_with_json(body, status=status)

    @property
    def asked(self) -> list[str]:
        return [request.path for request, _ in self.server.log]


@pytest.fixture
def bench(httpserver: HTTPServer, tmp_path: Path) -> Iterator[Bench]:
    """A bench without a login."""
    return Bench(httpserver, tmp_path / "credentials", ManualClock())


def test_login_stores_tokens_and_their_ends(bench):
    """A login is stored with the times at which its tokens end, and who it is."""
    bench.answers("/api/v1/token/")
    bench.client().login("ada", "password-nobody-logs")
    found = load_credentials(bench.path)
    assert found is not None
    assert (found.username, found.team_slug) == ("ada", "team-a")
    assert found.access_expires == at(bench.clock) + timedelta(hours=1)
    request, _ = bench.server.log[0]
    assert request.get_json() == {"username": "ada", "password": "password-nobody-logs"}
    assert "password-nobody-logs" not in bench.path.read_text()


def test_tokens_whose_ends_are_not_said_are_good_until_refused(bench):
    """A server that names no lifetime is asked with its tokens, both of them, until it says no."""
    bench.answers("/api/v1/token/", {"access": f"{CANARY}-1", "refresh": f"{CANARY}-2"})
    bench.answers("/api/v1/token/refresh/", {"access": f"{CANARY}-3"})
    client = bench.client()
    client.login("ada", "x")
    bench.clock.advance(30 * 86_400)
    assert client.access_token() == f"{CANARY}-1"
    assert client.refresh()
    assert client.access_token() == f"{CANARY}-3"


def test_refresh_token_whose_end_is_not_said_renews_the_login(bench):
    """Where only the access token's lifetime is said, the refresh token renews it at its end."""
    pair = {"access": f"{CANARY}-1", "refresh": f"{CANARY}-2", "access_lifetime": 300}
    bench.answers("/api/v1/token/", pair)
    bench.answers("/api/v1/token/refresh/", {"access": f"{CANARY}-3", "access_lifetime": 300})
    client = bench.client()
    client.login("ada", "x")
    bench.clock.advance(301)
    assert client.authenticated
    assert client.access_token() == f"{CANARY}-3"


def test_fresh_token_is_used_without_asking(bench):
    """A token that is good for more than a minute costs no request."""
    login = bench.save(access_s=61)
    assert bench.client().access_token() == login.access
    assert bench.asked == []


@pytest.mark.parametrize("access_s", [59, 0, -5000])
def test_token_about_to_end_is_renewed_first(bench, access_s):
    """A token with less than a minute left is renewed before it is used; it is the same login."""
    bench.save(access_s=access_s)
    bench.answers("/api/v1/token/refresh/")
    client = bench.client()
    assert client.access_token() == PAIR["access"]
    found = load_credentials(bench.path)
    assert found is not None
    assert found.refresh == PAIR["refresh"]
    assert client.login_id() == "first-login"
    assert bench.asked == ["/api/v1/token/refresh/"]


def test_refused_token_is_renewed_once(bench):
    """After a 401 the token is renewed although its time is not over."""
    bench.save()
    bench.answers("/api/v1/token/refresh/")
    client = bench.client()
    client.access_token()
    assert client.refresh() is True
    assert client.access_token() == PAIR["access"]
    assert len(bench.asked) == 1


def test_token_that_another_process_renewed_is_used_as_it_is(bench):
    """A renewal elsewhere is seen; the server is not asked again."""
    login = bench.save()
    client = bench.client()
    client.access_token()
    save_credentials(bench.path, replace(login, access="renewed-elsewhere"))
    assert client.refresh() is True
    assert client.access_token() == "renewed-elsewhere"
    assert bench.asked == []


@pytest.mark.parametrize("status", [400, 401, 403])
def test_renewal_that_is_refused_gives_up(bench, status):
    """A refused renewal leaves the file as it was and says no."""
    login = bench.save(access_s=-1)
    bench.answers("/api/v1/token/refresh/", {"error": "no"}, status=status)
    assert bench.client().refresh() is False
    assert load_credentials(bench.path) == login


def test_expired_login_has_no_token(bench):
    """Where both tokens are over, there is none, and nobody is asked."""
    bench.save(access_s=-10, refresh_s=-5)
    client = bench.client()
    assert client.access_token() is None
    assert client.authenticated is False
    assert bench.asked == []


def test_renewal_without_a_network_keeps_the_old_token(bench):
    """Where the server cannot be reached the old token is tried: the request itself will tell."""
    login = bench.save(access_s=-1)
    bench.server.stop()
    client = AuthClient(bench.path, login.server_url, clock=bench.clock, open_client=HttpClient)
    assert client.access_token() == login.access
    assert client.refresh() is False
    bench.server.start()


@pytest.mark.parametrize(
    "elsewhere",
    ["http://127.0.0.1:1", "https://{host}", "http://{host}.evil.example", "http://other.example"],
)
def test_token_of_another_origin_is_never_used(bench, elsewhere):
    """A login is nobody's at any other scheme, host or port."""
    bench.save()
    host = bench.url.removeprefix("http://")
    client = bench.client(elsewhere.format(host=host))
    assert client.credentials is None
    assert client.access_token() is None
    assert client.refresh() is False
    assert client.login_id() == ""
    assert bench.asked == []


def test_login_made_at_another_spelling_of_the_host_is_found(bench):
    """An older file spells the host as it was typed: where a user is found, so is the token."""
    bench.save(server_url="https://K\u00fcche.example/")
    assert bench.client("https://xn--kche-0ra.example").access_token() == f"{CANARY}-old-access"


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"access": 7}', b'{"access": "a\\nb"}', b"{}"]
)
def test_answer_without_a_token_is_refused_without_repeating_it(bench, body):
    """What is no pair of tokens is named as the server's fault; its text is not repeated."""
    bench.server.expect_request("/api/v1/token/").respond_with_data(CANARY.encode() + body)
    with pytest.raises(ReceiverProtocolError) as caught:
        bench.client().login("ada", "x")
    assert CANARY not in f"{caught.value}{caught.value.facts}"
    assert not bench.path.exists()


def test_wrong_password_is_refused_with_the_command(bench):
    """A refused login names the command and stores nothing."""
    bench.answers("/api/v1/token/", {"error": "no"}, status=401)
    with pytest.raises(CredentialError) as caught:
        bench.client().login("ada", "wrong-password-nobody-logs")
    assert "auth login" in caught.value.remedy
    assert "wrong-password" not in str(caught.value)
    assert not bench.path.exists()


def test_redirect_is_not_followed_with_the_password(bench):
    """A redirected login goes nowhere: the password stays with the first server."""
    bench.server.expect_request("/api/v1/token/").respond_with_data(
        "", status=307, headers={"Location": "/elsewhere"}
    )
    with pytest.raises(ReceiverProtocolError):
        bench.client().login("ada", "x")
    assert bench.asked == ["/api/v1/token/"]


def test_login_without_a_network_is_offline(bench):
    """No server, no login, and the old one is kept."""
    login = bench.save()
    client = AuthClient(bench.path, "http://127.0.0.1:9", clock=bench.clock, open_client=HttpClient)
    with pytest.raises(OfflineError):
        client.login("bob", "x")
    assert load_credentials(bench.path) == login


def test_each_login_has_another_name(bench):
    """A new login can be told from the old one; its name is no secret."""
    bench.answers("/api/v1/token/")
    client = bench.client()
    names = set()
    for _ in range(2):
        client.login("ada", "x")
        names.add(client.login_id())
    assert len(names) == 2
    assert CANARY not in "".join(names)


def test_logout_forgets(bench):
    """After logout nobody is logged in."""
    bench.save()
    client = bench.client()
    assert client.state() is not None
    assert client.logout() is True
    assert client.logout() is False
    assert client.state() is None


def _renew(path: str, url: str, start, found) -> None:
    client = AuthClient(Path(path), url, clock=SystemClock(), open_client=HttpClient)
    start.wait()
    found.put(client.access_token())


def test_processes_that_renew_at_once_ask_once(httpserver, tmp_path):
    """Six processes with one old token make one renewal, and all have the new token."""
    bench = Bench(httpserver, tmp_path / "credentials", ManualClock(SystemClock().now_ms()))
    bench.save(access_s=-1)
    bench.answers("/api/v1/token/refresh/")
    context = multiprocessing.get_context("spawn")
    start, found = context.Event(), context.Queue()
    racers = [
        context.Process(target=_renew, args=(str(bench.path), bench.url, start, found))
        for _ in range(4)
    ]
    for racer in racers:
        racer.start()
    start.set()
    tokens = [found.get(timeout=30) for _ in racers]
    for racer in racers:
        racer.join(30)
    assert tokens == [PAIR["access"]] * len(racers)
    assert len(bench.asked) == 1


def test_no_token_in_logs(bench, caplog):
    """Whatever goes wrong, no log line holds a token."""
    with caplog.at_level(logging.DEBUG, logger="spec_kitty_sync"):
        bench.save(access_s=-1)
        bench.answers("/api/v1/token/refresh/", {"error": CANARY}, status=500)
        client = bench.client()
        client.access_token()
        client.refresh()
        repr(client)
    assert CANARY not in caplog.text
    assert CANARY not in repr(client)


@pytest.mark.parametrize("change", [{"username": "bob"}, {"team_slug": "team-b"}, None])
def test_client_of_one_login_has_nothing_to_do_with_the_next(bench, change):
    """Bound to ada of team-a, it neither sends nor renews the token of whoever comes after her."""
    ada = bench.save(access_s=-1)
    client = bench.client().bound("ada", "team-a")
    bench.answers("/api/v1/token/refresh/")
    assert client.access_token() == PAIR["access"]
    if change is None:
        bench.client().logout()
    else:
        save_credentials(bench.path, replace(ada, **change))
    with pytest.raises(CredentialError, match="ada is no longer logged in"):
        client.access_token()
    assert client.refresh() is False
    assert client.login_id() == ""
    assert len(bench.asked) == 1


def test_client_of_nobody_stays_nobody(bench):
    """Who delivers without a login goes on without one, whoever logs in meanwhile."""
    client = bench.client().bound(None, None)
    bench.save()
    assert client.access_token() is None
