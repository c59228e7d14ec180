"""Whether this home can still take events in: may be written, and has room."""

from __future__ import annotations

import os
from collections.abc import Iterator

from spec_kitty_sync._files import Home
from spec_kitty_sync.sync.status_report import Attention

# What SQLite may need at once: its log of 4 MiB, and as much again when that is taken in.
_ROOM_BYTES = 16 * 1024 * 1024


def capture_attention(home: Home) -> Iterator[Attention]:
    """Yield what keeps events from being captured, or soon will; a quota is not seen."""
    if os.name != "posix" or not home.root.exists():
        return
    if not os.access(home.root, os.W_OK):
        yield Attention(
            "home_read_only",
            f"{home.root} cannot be written: nothing can be captured or delivered",
            f"Run `chmod u+w {home.root}`, or set SPEC_KITTY_HOME to another folder.",
        )
    disk = os.statvfs(home.root)
    free = disk.f_bavail * disk.f_frsize
    if free < _ROOM_BYTES:
        yield Attention(
            "disk_full",
            f"{free / 1024**2:.1f} MiB are left on the disk of {home.root}: events cannot be "
            "captured, or soon cannot",
            "Make room there. `spec-kitty sync gc --yes --vacuum` gives back what delivered events "
            "take, where it has room to work.",
        )
