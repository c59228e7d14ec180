"""`--debug`: a log file in the home, without tokens."""

from __future__ import annotations

import logging

from spec_kitty_sync._files import touch_private
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.secrecy import MaskingFormatter, secrets_of

_NAMES = ("spec_kitty_sync", "httpcore")


def start_log(settings: Settings) -> None:
    """Append everything that is logged from now on to `debug.log` (0600).

    Raises:
        UnsafePathError, StoreReadOnlyError: the file cannot be written.
    """
    path = settings.home.ensure().root / "debug.log"
    touch_private(path)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(MaskingFormatter(secrets_of(settings)))
    for name in _NAMES:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
