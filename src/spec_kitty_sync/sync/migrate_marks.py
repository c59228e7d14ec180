"""How a source is recognised again: by its bytes, and quickly by size and times."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

from spec_kitty_sync.sync.legacy_open import fingerprint_of

_SETTLED_MS = 2_000
_FILES = ("", "-wal", "-journal")


def fingerprint_any(path: Path) -> bytes:
    """Return a hash of whatever stands at *path*: a link's target, a folder's names, bytes."""
    try:
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            return fingerprint_of(path)
        if stat.S_ISLNK(status.st_mode):
            return hashlib.sha256(b"link\0" + os.fsencode(os.readlink(path))).digest()
        if stat.S_ISDIR(status.st_mode):
            names = b"\0".join(sorted(map(os.fsencode, os.listdir(path))))
            return hashlib.sha256(b"folder\0" + names).digest()
    except OSError as exc:
        return hashlib.sha256(b"error\0%d" % (exc.errno or 0)).digest()
    return hashlib.sha256(b"type\0%d" % stat.S_IFMT(status.st_mode)).digest()


def stamp_of(path: Path, *, now_ms: int) -> str:
    """Return size, time and inode of *path* and its sidecars; '' while they are too fresh.

    A file changed within the last two seconds may change again under the same stamp, so only
    its bytes can tell.
    """
    found: list[tuple[int, int, int] | None] = []
    for suffix in _FILES:
        try:
            status = path.with_name(path.name + suffix).stat()
        except OSError:
            found.append(None)
            continue
        if now_ms - status.st_mtime_ns // 1_000_000 < _SETTLED_MS:
            return ""
        found.append((status.st_size, status.st_mtime_ns, status.st_ino))
    return json.dumps(found)
