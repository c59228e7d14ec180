"""Keeping tokens out of what people paste into bug reports."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from spec_kitty_sync.auth.credentials import load_credentials
from spec_kitty_sync.errors import SpecKittyError
from spec_kitty_sync.sync.config import Settings, SyncConfig

MASK = "***"
_SHORTEST = 4
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;]+")
_USERINFO = re.compile(r"(?i)(https?://)[^/\s@]+@")


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return every token that this run could know: of the login, and from the environment."""
    found: list[str | None] = [settings.env("SPEC_KITTY_TOKEN")]
    try:
        config = SyncConfig.load(settings.home)
        found.append(settings.env(config.token_env) if config.token_env else None)
        login = load_credentials(settings.home.credentials)
        found += [login.access, login.refresh] if login else []
    except SpecKittyError:
        pass  # what cannot be read cannot be shown either
    return tuple({each for each in found if each and len(each) >= _SHORTEST})


def masked(text: str, secrets: Sequence[str] = ()) -> str:
    """Return *text* without *secrets*, bearer tokens and passwords in addresses."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _USERINFO.sub(rf"\1{MASK}@", _BEARER.sub(rf"\1 {MASK}", text))


class MaskingFormatter(logging.Formatter):
    """Formats log records without tokens; tracebacks too."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record), self._secrets)
