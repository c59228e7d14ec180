"""Python's hand on `failing_disk.c`: in a process that was started with it preloaded."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

VARIABLE = "LD_PRELOAD"
_DIE, _ONLY_COUNT = -1, 0
KINDS = {
    "count": (_ONLY_COUNT, False),
    "count-growth": (errno.ENOSPC, False),
    "die": (_DIE, False),
    "EIO": (errno.EIO, False),
    "EIO-stays": (errno.EIO, True),
    "ENOSPC": (errno.ENOSPC, False),
    "ENOSPC-stays": (errno.ENOSPC, True),
}
"""How the call fails, and whether those after it do too. ENOSPC hits only what needs room."""


class FailingDisk:
    """Everything below *folder* as far as this process changes it."""

    def __init__(self, folder: Path) -> None:
        self._library = ctypes.CDLL(os.environ[VARIABLE])
        self._library.disk_first_failed.restype = ctypes.c_char_p
        self._folder = bytes(folder)

    def arm(self, kind: str, nth: int) -> None:
        """Let the *nth* call from now on fail as *kind* says."""
        error, stays = KINDS[kind]
        self._library.disk_arm(self._folder, ctypes.c_long(nth), error, int(stays))

    def disarm(self) -> None:
        self._library.disk_disarm()

    @property
    def counted(self) -> int:
        """How many calls could have failed since it was armed."""
        return int(self._library.disk_counted())

    @property
    def failed(self) -> int:
        return int(self._library.disk_failed())

    @property
    def first_failed(self) -> str:
        """The first call that failed: its name, and the path below the folder."""
        return self._library.disk_first_failed().decode(errors="replace")
