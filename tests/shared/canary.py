"""The one token that stands for every secret of the tests, and where it must not be found."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

CANARY = "canary-6f1d0a93c2"
"""Part of every token and password that the tests hand out."""

_OWN_FILES = ("credentials", "users.toml")
"""Where a token belongs: the login of a home, and the accounts that a test gives a receiver."""


def holds_canary(data: bytes) -> bool:
    """Whether *data* holds the canary, plain or in base64."""
    return any(needle in data for needle in _NEEDLES)


def leaks_below(folder: Path) -> Iterator[Path]:
    """Yield every file below *folder* that holds the canary and has no business to."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or _is_own(path):
            continue
        data = path.read_bytes()
        if holds_canary(data) or holds_canary(_unpacked(data)):
            yield path


def _is_own(path: Path) -> bool:
    # A damaged login that was moved away, and one that is being written, have a longer name.
    return any(path.name.lstrip(".").startswith(own) for own in _OWN_FILES)


def _unpacked(data: bytes) -> bytes:
    try:
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else b""
    except (OSError, EOFError, zlib.error):
        return b""


def _in_base64(text: bytes) -> Iterator[bytes]:
    """Yield what every base64 text with *text* inside holds, wherever it stands in there."""
    for lead in range(3):
        whole = base64.b64encode(b"\0" * lead + text)
        yield whole[(lead * 8 + 5) // 6 : -4]


_NEEDLES = (CANARY.encode(), *_in_base64(CANARY.encode()))
