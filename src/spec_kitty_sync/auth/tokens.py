"""The token endpoints of a server (CONTRACT 5, Auth): what is asked, what an answer means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from spec_kitty_sync.errors import AuthRejectedError, CredentialError, ReceiverProtocolError

if TYPE_CHECKING:
    from spec_kitty_sync._http import Reply

TOKEN_PATH = "/api/v1/token/"
REFRESH_PATH = "/api/v1/token/refresh/"
_YEAR_S = 366 * 24 * 3600
_HEADERS = {"Content-Type": "application/json", "User-Agent": "spec-kitty-sync"}


class Requests(Protocol):
    """The part of `HttpClient` that is used here."""

    def request(self, method: str, url: str, *, headers: Any = None, body: Any = None) -> Reply: ...


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a server issued; it is worth nothing at any other origin.

    An expiry is None where the server does not say.
    """

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    access_expires: datetime | None
    refresh_expires: datetime | None
    team_slug: str | None
    names_team: bool


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Asks one server for tokens. `now` gives aware datetimes."""

    server_url: str
    client: Requests
    now: Callable[[], datetime]

    def login(self, username: str, password: str) -> TokenPair:
        """Return tokens for a user.

        Raises:
            CredentialError: the server refuses user or password.
            ReceiverProtocolError: it answers something else.
            TransportError: it does not answer.
        """
        reply = self._post(TOKEN_PATH, {"username": username, "password": password})
        if reply.status in (400, 401, 403):
            raise CredentialError(
                f"{_host(self.server_url)} refuses this user name or password",
                remedy="Run `spec-kitty auth login` again.",
            )
        return self._pair(reply)

    def refresh(self, token: str) -> TokenPair:
        """Return new tokens for a refresh token.

        Raises:
            AuthRejectedError: the server no longer takes it.
            ReceiverProtocolError, TransportError: as for `login`.
        """
        reply = self._post(REFRESH_PATH, {"refresh": token})
        if reply.status in (400, 401, 403):
            raise AuthRejectedError("the server no longer accepts this login")
        return self._pair(reply)

    def _post(self, path: str, fields: dict[str, str]) -> Reply:
        url = self.server_url.rstrip("/") + path
        return self.client.request("POST", url, headers=_HEADERS, body=json.dumps(fields).encode())

    def _pair(self, reply: Reply) -> TokenPair:
        """Read an answer; no message repeats any of it, since it may hold a token."""
        if reply.status != 200:
            raise ReceiverProtocolError(
                f"{_host(self.server_url)} answered {reply.status} instead of tokens",
                remedy="Check the address; `spec-kitty sync server URL` changes it.",
            )
        fields = _object(reply.body)
        access = _token(fields.get("access"))
        if access is None:
            raise ReceiverProtocolError(
                f"{_host(self.server_url)} answered without an access token",
                remedy="Check the address; `spec-kitty sync server URL` changes it.",
            )
        refresh = _token(fields.get("refresh"))
        team = fields.get("team_slug")
        return TokenPair(
            access=access,
            refresh=refresh,
            access_expires=self._after(fields.get("access_lifetime")),
            refresh_expires=self._after(fields.get("refresh_lifetime")) if refresh else None,
            team_slug=team if isinstance(team, str) and team and team.isprintable() else None,
            names_team="team_slug" in fields,
        )

    def _after(self, lifetime_s: object) -> datetime | None:
        """Return when that is over; None where the server does not say, and will when asked."""
        if not isinstance(lifetime_s, int | float) or isinstance(lifetime_s, bool):
            return None
        if lifetime_s != lifetime_s:
            return None
        # No float() of it before: an integer may have a thousand digits.
        return self.now() + timedelta(seconds=min(max(lifetime_s, 0), _YEAR_S))


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _token(value: object) -> str | None:
    usable = isinstance(value, str) and value and value.isascii() and value.isprintable()
    return str(value) if usable else None


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the server"
