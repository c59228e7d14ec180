"""Who is asking: static tokens, signed tokens of our own, and what each may send."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.receiver.passwords import hash_token, password_matches
from spec_kitty_sync.receiver.refusal import Refusal

Kind = Literal["access", "refresh", "ws", "page"]
_PREFIX = "sks1"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request speaks for; ids are unique within `scope`.

    `team` None may send events of every team, `projects` None of every project.
    """

    username: str
    team: str | None = None
    projects: frozenset[str] | None = None

    @property
    def scope(self) -> str:
        """Return the team whose ids these are; `""` for a receiver without teams."""
        return self.team or ""


@dataclass(frozen=True, slots=True)
class User:
    """Someone who may log in: from the users file, or with hashes from the database.

    A signed token is void once the `stamp` of its user is another.
    """

    principal: Principal
    password: str | None = None
    tokens: tuple[str, ...] = ()
    expired_tokens: tuple[str, ...] = ()
    password_hash: str | None = None
    token_hash: str | None = None
    stamp: str = ""

    def knows(self, password: str) -> bool:
        """Tell whether *password* is theirs; slow on purpose where it is hashed."""
        if self.password is not None:
            return _equal(password, self.password)
        return password_matches(password, self.password_hash)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long issued tokens are good for, in seconds."""

    access_s: int = 3600
    refresh_s: int = 14 * 24 * 3600
    ws_s: int = 60
    page_s: int = 12 * 3600


Authenticate = Callable[[str | None], Principal]
"""Takes the Authorization header, returns who it is or raises a 401 Refusal."""


def unauthorized(error: str) -> Refusal:
    """Return the 401; *error* never quotes the token."""
    return Refusal(401, error, headers={"WWW-Authenticate": "Bearer"})


def anyone(authorization: str | None) -> Principal:
    """Return the one principal of a receiver without authentication."""
    return Principal("anonymous")


class Directory:
    """The users of a receiver and the tokens it has signed.

    *secret* signs; whoever holds another secret cannot make a valid token.
    """

    def __init__(
        self, users: Sequence[User], *, secret: bytes, clock: Clock, lifetimes: Lifetimes
    ) -> None:
        self._users = {user.principal.username: user for user in users}
        # An unknown user takes as long as a known one.
        hashed = any(user.password_hash for user in users)
        self._nobody = User(Principal(""), password=None if hashed else secrets.token_hex())
        self._by_token = {user.token_hash: user for user in users if user.token_hash}
        self._secret = secret
        self._clock = clock
        self.lifetimes = lifetimes

    def authenticate(self, authorization: str | None) -> Principal:
        """Return who the Authorization header names (an `Authenticate`).

        Raises:
            Refusal: 401, also for an expired token.
        """
        if not authorization:
            raise unauthorized("the Authorization header is missing")
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("the Authorization header is no bearer token")
        return self._static(token) or self.verify(token, "access")

    def check_password(self, username: object, password: object) -> Principal:
        """Return who logs in; takes as long for an unknown user.

        Raises:
            Refusal: 401, unknown user or wrong password.
        """
        user = self._users.get(username) if isinstance(username, str) else None
        given = password if isinstance(password, str) else ""
        if not (user or self._nobody).knows(given) or user is None:
            raise unauthorized("unknown user or wrong password")
        return user.principal

    def refresh(self, token: object) -> dict[str, Any]:
        """Return a new pair of tokens for a refresh token.

        Raises:
            Refusal: 401, forged or expired.
        """
        return self.pair(self.verify(token if isinstance(token, str) else "", "refresh"))

    def sign(self, principal: Principal, kind: Kind, lifetime_s: int) -> str:
        """Return a token that `verify` takes as *kind* for *lifetime_s* seconds."""
        user = self._users.get(principal.username, self._nobody)
        claims = {
            "sub": principal.username,
            "kind": kind,
            "stamp": user.stamp,
            "exp": self._clock.now_ms() + lifetime_s * 1000,
            "jti": secrets.token_hex(8),
        }
        body = _b64(json.dumps(claims, separators=(",", ":")).encode())
        return f"{_PREFIX}.{body}.{_b64(self._mac(body))}"

    def verify(self, token: str, kind: Kind) -> Principal:
        """Return who *token* was signed for.

        Raises:
            Refusal: 401, not ours, of another kind, expired, or the user is gone.
        """
        prefix, _, rest = token.partition(".")
        body, _, signature = rest.partition(".")
        if prefix != _PREFIX or not _equal(signature, _b64(self._mac(body))):
            raise unauthorized("the token is not valid")
        claims = json.loads(_unb64(body))
        if claims["kind"] != kind:
            raise unauthorized("the token is not valid")
        if claims["exp"] <= self._clock.now_ms():
            raise unauthorized("the token has expired")
        user = self._users.get(claims["sub"])
        if user is None or user.stamp != claims.get("stamp", ""):
            raise unauthorized("the token is not valid")
        return user.principal

    def _static(self, token: str) -> Principal | None:
        if known := self._by_token.get(hash_token(token)):
            return known.principal
        for user in self._users.values():
            if any(_equal(token, expired) for expired in user.expired_tokens):
                raise unauthorized("the token has expired")
            if any(_equal(token, each) for each in user.tokens):
                return user.principal
        return None

    def pair(self, principal: Principal) -> dict[str, Any]:
        """Return new tokens (CONTRACT 5, Auth)."""
        access_s, refresh_s = self.lifetimes.access_s, self.lifetimes.refresh_s
        return {
            "access": self.sign(principal, "access", access_s),
            "refresh": self.sign(principal, "refresh", refresh_s),
            "access_lifetime": access_s,
            "refresh_lifetime": refresh_s,
            "team_slug": principal.team,
        }

    def _mac(self, body: str) -> bytes:
        return hmac.digest(self._secret, body.encode("utf-8", "replace"), hashlib.sha256)


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(
        left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass")
    )


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise unauthorized("the token is not valid") from None
