"""`--debug`: a log file in the home, without tokens."""

from __future__ import annotations

import logging
from pathlib import Path

from spec_kitty_sync._files import touch_private
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.secrecy import MaskingFormatter, secrets_of

_NAMES = ("spec_kitty_sync", "httpcore")


def start_log(settings: Settings) -> Path:
    """Append everything that is logged from now on to `debug.log` (0600); return its path.

    A second call changes nothing.

    Raises:
        UnsafePathError, StoreReadOnlyError: the file cannot be written.
    """
    path = settings.home.ensure().root / "debug.log"
    if any(getattr(each, "baseFilename", "") == str(path) for each in _handlers()):
        return path
    touch_private(path)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(MaskingFormatter(secrets_of(settings)))
    for name in _NAMES:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    return path


def _handlers() -> list[logging.Handler]:
    return logging.getLogger(_NAMES[0]).handlers
