"""The credentials file (CONTRACT 5, Auth): TOML, 0600, never a symlink."""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from spec_kitty_sync.errors import CredentialError, UnsafePathError


@dataclass(frozen=True)
class Credentials:
    """Who is logged in where. Tokens stay out of `repr`."""

    server_url: str
    username: str
    team_slug: str | None
    access: str | None = field(default=None, repr=False)
    refresh: str | None = field(default=None, repr=False)
    access_expires: datetime | None = None
    refresh_expires: datetime | None = None


def load_credentials(path: Path) -> Credentials | None:
    """Read the file; None when there is none.

    Raises:
        UnsafePathError: a symlink, or readable by others.
        CredentialError: not TOML, or without `server.url` and `user.username`.
    """
    if path.is_symlink():
        raise UnsafePathError(f"{path} is a symbolic link", remedy=f"Run `rm {path}`, then log in.")
    if not path.exists():
        return None
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UnsafePathError(f"{path} is readable by others", remedy=f"Run `chmod 600 {path}`.")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        # The parser's message may quote the line, and with it a token.
        raise CredentialError(f"{path} is not valid TOML") from exc
    return _parse(document, path)


def _parse(document: dict[str, Any], path: Path) -> Credentials:
    tokens, expiries = _table(document, "tokens"), _table(document, "expiries")
    user, server = _table(document, "user"), _table(document, "server")
    url, username = server.get("url"), user.get("username")
    if not isinstance(url, str) or not isinstance(username, str):
        raise CredentialError(f"{path} lacks server.url or user.username")
    return Credentials(
        server_url=url,
        username=username,
        team_slug=_text(user.get("team_slug")),
        access=_text(tokens.get("access")),
        refresh=_text(tokens.get("refresh")),
        access_expires=_moment(expiries.get("access") or tokens.get("access_expires_at")),
        refresh_expires=_moment(expiries.get("refresh") or tokens.get("refresh_expires_at")),
    )


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.astimezone()
