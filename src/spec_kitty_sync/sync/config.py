"""Settings of the machine: `config.toml` and the environment (CONTRACT 6, Target authority)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spec_kitty_sync._files import Home, disk_error, move_away, write_atomic
from spec_kitty_sync._locks import change_lock
from spec_kitty_sync.errors import UsageError

TOKEN_VARIABLE = "SPEC_KITTY_TOKEN"
"""Holds a token for the server of the environment, else for the configured one."""


@dataclass(frozen=True)
class Settings:
    """Where this run lives: its home, its environment and the folder it was started in."""

    home: Home
    environ: Mapping[str, str] = field(repr=False)
    cwd: Path

    def env(self, name: str) -> str | None:
        """Return the variable, None when unset or blank."""
        return self.environ.get(name, "").strip() or None


@dataclass(frozen=True)
class SyncConfig:
    """The `[sync]` table of `config.toml`; every field may be absent."""

    server_url: str | None = None
    token_env: str | None = None
    mode: str | None = None
    max_retries: int = 5
    allow_http: bool = False
    ca_file: str | None = None
    synchronous: str = "FULL"
    lanes: str = "seven"

    @classmethod
    def load(cls, home: Home) -> SyncConfig:
        """Read `config.toml`; a missing file is an empty one.

        Raises:
            UsageError: not TOML, or a value of the wrong type; names the key.
        """
        table = _sync_table(home.config_toml)
        return cls(
            server_url=_text(table, "server_url"),
            token_env=_text(table, "token_env"),
            mode=_text(table, "mode"),
            max_retries=_count(table, "max_retries", 5),
            allow_http=bool(table.get("allow_http", False)),
            ca_file=_text(table, "ca_file"),
            synchronous=_choice(table, "synchronous", ("FULL", "NORMAL")),
            lanes=_choice(table, "lanes", ("seven", "four")),
        )


def _sync_table(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib  # most homes have no such file

        document = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except IsADirectoryError:
        raise UsageError(f"{path} is not a file", remedy=move_away(path)) from None
    except OSError as exc:
        raise disk_error(f"cannot read {path}", exc) from exc
    except (ValueError, RecursionError) as exc:  # integers of 5000 digits, a thousand brackets
        raise UsageError(
            f"{path} is not valid TOML: {exc}",
            remedy=f"Correct it, or begin anew. {move_away(path)}",
        ) from exc
    table = document.get("sync", {})
    if not isinstance(table, dict):
        raise _wrong("sync", table, "a table")
    return table


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(f"sync.{key}", value, "text")
    return value.strip() or None if value else None


def _count(table: Mapping[str, Any], key: str, default: int) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(f"sync.{key}", value, "a whole number of at least 1")
    return value


def _choice(table: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    value = table.get(key, allowed[0])
    for each in allowed:
        if isinstance(value, str) and value.upper() == each.upper():
            return each
    raise _wrong(f"sync.{key}", value, " or ".join(allowed))


def _wrong(key: str, value: object, wanted: str) -> UsageError:
    return UsageError(
        f"config.toml: {key} is {value!r}, expected {wanted}",
        remedy=f"Correct {key} in config.toml.",
    )


def write_settings(home: Home, values: Mapping[str, str | bool | None]) -> None:
    """Set (or, for None, remove) keys of `[sync]` in `config.toml`; comments stay.

    Raises:
        StoreBusyError: another process is changing it for too long.
    """
    path = home.ensure().config_toml
    with change_lock(home.root, "settings"):
        _write_settings(path, values)


def _write_settings(path: Path, values: Mapping[str, str | bool | None]) -> None:
    import tomlkit

    text = path.read_text(encoding="utf-8") if path.exists() else ""
    document = tomlkit.parse(text)
    table = document.setdefault("sync", tomlkit.table())
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    write_atomic(path, tomlkit.dumps(document).encode())
