"""The credentials file (CONTRACT 5, Auth): TOML, 0600, never a symlink, changed under a lock."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from spec_kitty_sync._files import (
    move_away,
    spent_error,
    sync_dir,
    write_atomic,
)
from spec_kitty_sync._locks import change_lock
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
    login: str | None = None

    @property
    def login_id(self) -> str:
        """Name of this login, no secret; older files have none and get one that lasts as long."""
        if self.login is not None:
            return self.login
        import hashlib

        return hashlib.sha256(f"{self.server_url}|{self.username}".encode()).hexdigest()[:16]

    def access_valid(self, now: datetime) -> bool:
        """Whether the access token may still be good at *now*; unknown expiry counts as good."""
        return bool(self.access) and (self.access_expires is None or self.access_expires > now)

    def refresh_valid(self, now: datetime) -> bool:
        """Whether the refresh token may still be good at *now*."""
        return bool(self.refresh) and (self.refresh_expires is None or self.refresh_expires > now)


def load_credentials(path: Path) -> Credentials | None:
    """Read the file; None when there is none.

    Raises:
        UnsafePathError: a symlink, or readable by others.
        CredentialError: not TOML, or without `server.url` and `user.username`.
    """
    document = _read(path)
    return None if document is None else _parse(document, path)


def _read(path: Path) -> dict[str, Any] | None:
    if path.is_symlink():
        raise UnsafePathError(f"{path} is a symbolic link", remedy=f"Run `rm {path}`, then log in.")
    try:
        data = _read_private(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        failure = spent_error(f"{path} cannot be read", exc)
        raise failure or CredentialError(f"{path} cannot be read: {exc.strerror}") from exc
    import tomllib  # who is not logged in never comes here

    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError):
        # The parser's message may quote the line, and with it a token.
        raise CredentialError(f"{path} is not valid TOML") from None


def _read_private(path: Path) -> bytes:
    """Return the bytes of a file that only its owner can read; the open file is what is judged.

    Raises:
        UnsafePathError: readable by others.
        CredentialError: no regular file; a pipe would never end.
        OSError
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, flags)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise CredentialError(f"{path} is not a file", remedy=move_away(path))
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            remedy = f"Run `chmod 600 {path}`."
            raise UnsafePathError(f"{path} is readable by others", remedy=remedy)
        with open(handle, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(handle)


def _parse(document: Mapping[str, Any], path: Path) -> Credentials:
    tokens, expiries = _table(document, "tokens"), _table(document, "expiries")
    user, server = _table(document, "user"), _table(document, "server")
    url, username = server.get("url"), user.get("username")
    if not isinstance(url, str) or not isinstance(username, str):
        raise CredentialError(f"{path} lacks server.url or user.username")
    return Credentials(
        server_url=url,
        username=username,
        team_slug=_text(user.get("team_slug")),
        access=_token(tokens.get("access")),
        refresh=_token(tokens.get("refresh")),
        access_expires=_moment(expiries.get("access") or tokens.get("access_expires_at")),
        refresh_expires=_moment(expiries.get("refresh") or tokens.get("refresh_expires_at")),
        login=_text(user.get("login")),
    )


@contextmanager
def credentials_lock(path: Path) -> Iterator[None]:
    """Let one process at a time change the file or refresh its token.

    Raises:
        StoreBusyError: another process holds it for too long.
    """
    with change_lock(path.parent, "credentials"):
        yield


def save_credentials(path: Path, credentials: Credentials) -> None:
    """Replace the file, mode 0600; keys that are not ours stay. The caller holds the lock.

    Raises:
        UnsafePathError: the path is a symlink.
    """
    import tomlkit

    try:
        known = _read(path)
    except CredentialError:
        known = None  # an unreadable file is what a login repairs
    document = tomlkit.parse(path.read_text("utf-8")) if known else tomlkit.document()
    for table, values in _tables(credentials).items():
        if not isinstance(document.get(table), dict):
            document[table] = tomlkit.table()
        section = document[table]
        for key, value in values.items():
            if value is None:
                section.pop(key, None)
            else:
                section[key] = value
    # Older CLIs kept the expiries beside the tokens; two places would disagree.
    for old in ("access_expires_at", "refresh_expires_at"):
        document["tokens"].pop(old, None)
    write_atomic(path, tomlkit.dumps(document).encode())


def delete_credentials(path: Path) -> bool:
    """Remove the file; whether there was one. The caller holds the lock."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_dir(path.parent)
    return True


def _tables(credentials: Credentials) -> dict[str, dict[str, str | None]]:
    return {
        "tokens": {"access": credentials.access, "refresh": credentials.refresh},
        "expiries": {
            "access": _iso(credentials.access_expires),
            "refresh": _iso(credentials.refresh_expires),
        },
        "user": {
            "username": credentials.username,
            "team_slug": credentials.team_slug,
            "login": credentials.login,
        },
        "server": {"url": credentials.server_url},
    }


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _token(value: object) -> str | None:
    """Return a token that fits on one header line; anything else counts as none."""
    text = _text(value)
    return text if text is not None and text.isascii() and text.isprintable() else None


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _moment(value: object) -> datetime | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError):  # the latter: local time before the year 1
        return None
