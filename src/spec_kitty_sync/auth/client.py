"""The login of one home, as seen from one server: its tokens are good for that origin only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._urls import same_origin
from spec_kitty_sync.auth.credentials import (
    Credentials,
    credentials_lock,
    delete_credentials,
    load_credentials,
    save_credentials,
)
from spec_kitty_sync.errors import CredentialError, DeliveryError, StoreError, TargetError

if TYPE_CHECKING:
    from spec_kitty_sync._http import HttpClient
    from spec_kitty_sync.auth.tokens import TokenEndpoint, TokenPair

_REFRESH_AHEAD = timedelta(seconds=60)


@dataclass(frozen=True)
class LoginState:
    """What `auth status` shows; no secret. Times are aware."""

    server_url: str
    username: str
    team_slug: str | None
    access_valid: bool
    refresh_valid: bool
    access_expires: datetime | None
    refresh_expires: datetime | None

    @property
    def usable(self) -> bool:
        """Whether a delivery can get a token without a new login."""
        return self.access_valid or self.refresh_valid


class AuthClient:
    """Reads, renews and forgets the login of *credentials_path* for *server_url*'s origin.

    Without a server it is nobody's. Every look reads the file again, so that a token renewed by
    another process is seen; one file lock keeps two processes from renewing the same token.

    *whose* (user, team): no other login is looked at. Whoever delivers for one user must not go
    on with the token of the next who logs in.
    """

    def __init__(
        self,
        credentials_path: Path,
        server_url: str | None,
        *,
        clock: Clock,
        open_client: Callable[[], HttpClient],
        whose: tuple[str | None, str | None] | None = None,
    ) -> None:
        self._path = credentials_path
        self._server_url = server_url
        self._clock = clock
        self._open_client = open_client
        self._whose = whose
        self._renewing = threading.Lock()
        self._handed_out: str | None = None

    def __repr__(self) -> str:
        return f"AuthClient({self._server_url!r})"

    @property
    def credentials(self) -> Credentials | None:
        """The login, if it belongs to this server's origin, and to whom it must belong.

        Raises:
            UnsafePathError, CredentialError: the file must not, or cannot, be read.
        """
        found = load_credentials(self._path)
        if found is None or self._server_url is None:
            return None
        if not same_origin(found.server_url, self._server_url):
            return None
        return found if self._whose in (None, (found.username, found.team_slug)) else None

    def bound(self, user: str | None, team: str | None) -> AuthClient:
        """Return the client of this one login: it gives no token once somebody else logs in."""
        return AuthClient(
            self._path,
            self._server_url,
            clock=self._clock,
            open_client=self._open_client,
            whose=(user, team),
        )

    @property
    def team_slug(self) -> str | None:
        """The team of the login; None without one, or where the file cannot be read."""
        found = self._readable()
        return found.team_slug if found is not None else None

    @property
    def authenticated(self) -> bool:
        """Whether a token is there or can be had without asking the operator. No network."""
        found = self._readable()
        now = self._now()
        return found is not None and (found.access_valid(now) or found.refresh_valid(now))

    def state(self) -> LoginState | None:
        """Return who is logged in, of whatever server; None when nobody is.

        Raises:
            UnsafePathError, CredentialError
        """
        found = load_credentials(self._path)
        if found is None:
            return None
        now = self._now()
        return LoginState(
            found.server_url,
            found.username,
            found.team_slug,
            found.access_valid(now),
            found.refresh_valid(now),
            found.access_expires,
            found.refresh_expires,
        )

    def access_token(self) -> str | None:
        """Return a token that is good for another minute, renewing it where possible.

        Where the server cannot be reached, the old one: the request after it will say so.

        Raises:
            CredentialError: bound to a login that is no longer there.
        """
        found = self.credentials
        if found is None:
            if self._whose is not None and self._whose[0] is not None:
                raise CredentialError(
                    f"{self._whose[0]} is no longer logged in here",
                    remedy="Run `spec-kitty sync now` to deliver as whoever is, or "
                    "`spec-kitty auth login`.",
                )
            return None
        if not found.access_valid(self._now() + _REFRESH_AHEAD) and found.refresh:
            found = self._renew(found) or found
        usable = found.access_valid(self._now()) or found.refresh_valid(self._now())
        self._handed_out = found.access if usable else None
        return self._handed_out

    def refresh(self) -> bool:
        """Renew a token that the server has refused; whether there is another one now."""
        found = self.credentials
        if found is None:
            return False
        refused = self._handed_out
        if found.access and found.access != refused and found.access_valid(self._now()):
            return True
        return self._renew(found) is not None

    def login_id(self) -> str:
        """Return a name that changes with each login; empty when nobody is logged in."""
        found = self._readable()
        return found.login_id if found is not None else ""

    def login(self, username: str, password: str) -> Credentials:
        """Log in at the server and store the tokens.

        Raises:
            CredentialError: refused.
            DeliveryError: the server does not answer, or answers something else.
            StoreError: the file cannot be written.
        """
        assert self._server_url is not None, "a login needs a server"
        with self._open_client() as client:
            pair = self._endpoint(self._server_url, client).login(username, password)
        fresh = Credentials(
            server_url=self._server_url,
            username=username,
            team_slug=pair.team_slug,
            access=pair.access,
            refresh=pair.refresh,
            access_expires=pair.access_expires,
            refresh_expires=pair.refresh_expires,
            login=os.urandom(8).hex(),
        )
        with credentials_lock(self._path):
            save_credentials(self._path, fresh)
        return fresh

    def logout(self) -> bool:
        """Forget the login; whether there was one. The server is not told."""
        with credentials_lock(self._path):
            return delete_credentials(self._path)

    def _readable(self) -> Credentials | None:
        try:
            return self.credentials
        except (TargetError, StoreError):
            return None

    def _renew(self, seen: Credentials) -> Credentials | None:
        """Return credentials newer than *seen*: another process's, or from the server."""
        with self._renewing:
            try:
                return self._renew_locked(seen)
            except (DeliveryError, TargetError, StoreError) as exc:
                import logging  # most runs have nothing to say

                logging.getLogger(__name__).info("the token was not renewed: %s", exc.message)
                return None

    def _renew_locked(self, seen: Credentials) -> Credentials | None:
        with credentials_lock(self._path):
            now = self.credentials
            if now is None:
                return None
            if now.access != seen.access:
                return now
            if now.refresh is None or not now.refresh_valid(self._now()):
                return None
            with self._open_client() as client:
                pair = self._endpoint(now.server_url, client).refresh(now.refresh)
            renewed = _renewed(now, pair)
            save_credentials(self._path, renewed)
            return renewed

    def _endpoint(self, url: str, client: HttpClient) -> TokenEndpoint:
        from spec_kitty_sync.auth.tokens import TokenEndpoint

        return TokenEndpoint(url, client, self._now)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def _renewed(old: Credentials, pair: TokenPair) -> Credentials:
    return replace(
        old,
        access=pair.access,
        refresh=pair.refresh or old.refresh,
        access_expires=pair.access_expires,
        refresh_expires=pair.refresh_expires if pair.refresh else old.refresh_expires,
        team_slug=pair.team_slug if pair.names_team else old.team_slug,
        login=old.login_id,
    )
