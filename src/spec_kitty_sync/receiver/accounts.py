"""Users in the receiver's own database; passwords and tokens only as hashes."""

from __future__ import annotations

import json
from dataclasses import dataclass

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.database import Database
from spec_kitty_sync.receiver.passwords import hash_password, hash_token
from spec_kitty_sync.receiver.principals import Principal, User

_MAX_NAME = 100

_ADD = """
INSERT INTO receiver_users (username, team, projects, password_hash, token_hash, created_at_ms)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (username) DO NOTHING
"""
_REMOVE = "DELETE FROM receiver_users WHERE username = ?"
_ALL = """
SELECT username, team, projects, password_hash, token_hash, created_at_ms
FROM receiver_users ORDER BY username
"""


@dataclass(frozen=True, slots=True)
class Account:
    """One stored user."""

    username: str
    team: str | None
    projects: frozenset[str] | None
    password_hash: str
    token_hash: str | None
    created_at_ms: int

    def user(self) -> User:
        """Return the user as the receiver knows it.

        Its stamp changes with every new account, so that tokens of an earlier one are void.
        """
        return User(
            Principal(self.username, team=self.team, projects=self.projects),
            password_hash=self.password_hash,
            token_hash=self.token_hash,
            stamp=hash_token(f"{self.created_at_ms}:{self.password_hash}")[:16],
        )


class Accounts:
    """Add, list, remove; running receivers notice within seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        principal: Principal,
        *,
        password: str,
        token: str | None,
        now_ms: int,
    ) -> None:
        """Store a new user.

        Raises:
            UsageError: the name is taken or not a name, or the password is shorter than 8.
        """
        for name in (principal.username, principal.team or "-", *(principal.projects or ())):
            if not 0 < len(name) <= _MAX_NAME or not name.isprintable() or " " in name:
                raise UsageError(
                    f"{name[:_MAX_NAME]!r} is no name of a user, team or project",
                    remedy=f"Choose one of at most {_MAX_NAME} characters without blanks.",
                )
        if len(password) < 8:
            raise UsageError("the password is shorter than 8 characters")
        projects = None if principal.projects is None else json.dumps(sorted(principal.projects))
        added = self._database.change(
            _ADD,
            (
                principal.username,
                principal.team,
                projects,
                hash_password(password),
                None if token is None else hash_token(token),
                now_ms,
            ),
        )
        if not added:
            raise UsageError(
                f"there is a user {principal.username} already",
                remedy=f"Run `spec-kitty receiver user remove {principal.username}` first.",
            )

    def remove(self, username: str) -> None:
        """Forget a user; its events stay.

        Raises:
            UsageError: there is no such user.
        """
        if not self._database.change(_REMOVE, (username,)):
            raise UsageError(
                f"there is no user {username}", remedy="Run `spec-kitty receiver user list`."
            )

    def all(self) -> list[Account]:
        """Return every user by name."""
        return [
            Account(
                name, team, None if projects is None else frozenset(json.loads(projects)), *rest
            )
            for name, team, projects, *rest in self._database.rows(_ALL, ())
        ]
