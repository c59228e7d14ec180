"""The users of a receiver: a TOML file, or the one user behind `--token`.

[[user]]
username = "ada"
password = "…"                  # or password_env = "NAME"
team = "team-a"                 # absent: may send events of every team
projects = ["<project_uuid>"]   # absent: every project
tokens = ["…"]                  # static bearer tokens
expired_tokens = ["…"]          # answered 401, to test what a client does then
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.principals import Principal, User

_KEYS = {
    "username", "password", "password_env", "team", "projects", "tokens", "expired_tokens",
}  # fmt: skip


def single_user(token: str) -> tuple[User, ...]:
    """Return the one user behind a static token; the token is also the password.

    Raises:
        UsageError: the token is empty or has blanks in it.
    """
    if not token or any(char.isspace() for char in token):
        raise UsageError("the token is empty or contains blanks")
    return (User(Principal("operator"), password=token, tokens=(token,)),)


def read_users(path: Path, environ: Mapping[str, str]) -> tuple[User, ...]:
    """Return the users in the file at *path*.

    Raises:
        UsageError: no such file, no TOML, an unknown key, or a name that stands twice.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path} is not TOML: {exc}") from exc
    entries = document.get("user")
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path} has no [[user]]")
    users = tuple(_user(path, entry, environ) for entry in entries)
    names = [user.principal.username for user in users]
    if len(set(names)) != len(names):
        raise UsageError(f"{path}: a username stands twice")
    return users


def _user(path: Path, entry: Any, environ: Mapping[str, str]) -> User:
    if not isinstance(entry, dict) or not set(entry) <= _KEYS:
        raise UsageError(f"{path}: a [[user]] has only the keys {', '.join(sorted(_KEYS))}")
    username = entry.get("username")
    if not isinstance(username, str) or not username:
        raise UsageError(f"{path}: a [[user]] lacks its username")
    projects = entry.get("projects")
    principal = Principal(
        username,
        team=entry.get("team"),
        projects=None if projects is None else frozenset(str(each).lower() for each in projects),
    )
    return User(
        principal,
        password=_password(path, entry, environ),
        tokens=tuple(entry.get("tokens", ())),
        expired_tokens=tuple(entry.get("expired_tokens", ())),
    )


def _password(path: Path, entry: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    name = entry.get("password_env")
    if name is None:
        return entry.get("password")
    if name not in environ:
        raise UsageError(f"{path}: the environment variable {name} is not set")
    return environ[name]
