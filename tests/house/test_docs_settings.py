"""docs/operating.md lists every setting there is."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import spec_kitty_sync
from spec_kitty_sync.sync.config import SyncConfig

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(spec_kitty_sync.__file__).parent


def listed() -> set[str]:
    """Return the first column of both tables of settings."""
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    section = text.split("\n## Settings\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, flags=re.M))


def test_every_key_and_variable_is_listed() -> None:
    """Each key of `[sync]` and each SPEC_KITTY_ variable of the source has its row, no other."""
    keys = {field.name for field in dataclasses.fields(SyncConfig)}
    named = re.compile(r"\"(SPEC_KITTY_[A-Z_]+)\"")
    variables = {
        name
        for path in SOURCE.rglob("*.py")
        for name in named.findall(path.read_text(encoding="utf-8"))
    }
    assert listed() == keys | variables
