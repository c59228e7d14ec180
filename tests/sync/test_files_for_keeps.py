"""Files that commands write for the operator: a name belongs to whoever takes it first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from os import open as os_open
from pathlib import Path
from types import FrameType

import pytest
from producing import Desk

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.sync.backup import back_up
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.migrate_home import deciding
from spec_kitty_sync.sync.migrate_quarantine import Quarantine
from spec_kitty_sync.sync.retaining import archive, export
from spec_kitty_sync.sync.store import open_home


def export_quarantine(settings: Settings, target: Path) -> None:
    with deciding(settings) as parts:
        Quarantine(parts).export(target)


@pytest.mark.parametrize(
    "write",
    [
        lambda settings, target: back_up(settings.home, target),
        export,
        archive,
        export_quarantine,
    ],
    ids=["backup", "export", "archive", "quarantine"],
)
def test_file_that_another_run_takes_meanwhile_is_left_alone(
    desk: Desk, tmp_path: Path, write: Callable[[Settings, Path], object]
) -> None:
    """Of two runs into one file, the second wrote over the first, or deleted it: an archive is the
    only copy of what is in it."""
    target = tmp_path / "kept"
    with open_home(desk.settings.home):
        pass

    def watch(frame: FrameType, event: str, arg: object) -> None:
        """Be the other run: take the name when this one has seen that it is free."""
        if event == "c_call" and frame.f_locals.get("path") == target and arg is os_open:
            target.write_text("theirs")

    sys.setprofile(watch)
    try:
        with pytest.raises(UsageError, match="exists"):
            write(desk.settings, target)
    finally:
        sys.setprofile(None)
    assert target.read_text() == "theirs"
