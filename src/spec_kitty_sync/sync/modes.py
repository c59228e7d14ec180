"""Which mode this project syncs in, and who said so (CONTRACT 6, Modes)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.identity.config_file import CONFIG, mentions, read_config
from spec_kitty_sync.identity.repository import find_project_root
from spec_kitty_sync.sync.config import Settings, SyncConfig

MODE_VARIABLE = "SPEC_KITTY_SYNC_MODE"


class SyncMode(enum.StrEnum):
    """Retention × delivery, by name. TRASH is another name for OPT_OUT."""

    TEAMSPACE = "TEAMSPACE"
    EXTERNAL_RECEIVER = "EXTERNAL_RECEIVER"
    LOCAL_RETENTION = "LOCAL_RETENTION"
    OPT_OUT = "OPT_OUT"

    @property
    def delivers(self) -> bool:
        return self in (SyncMode.TEAMSPACE, SyncMode.EXTERNAL_RECEIVER)

    @property
    def drops(self) -> bool:
        """Whether events that nobody is owed (local-only, discardable) are not kept."""
        return self is SyncMode.OPT_OUT


class ModeSource(enum.StrEnum):
    """Who chose the mode, the strongest first."""

    ENVIRONMENT = "environment"
    PROJECT = "project"
    MACHINE = "machine"
    DEFAULT = "default"


@dataclass(frozen=True)
class ResolvedMode:
    """The mode of this run and where it was stated."""

    mode: SyncMode
    source: ModeSource

    @property
    def chosen(self) -> bool:
        return self.source is not ModeSource.DEFAULT


def parse_mode(text: str, *, where: str) -> SyncMode:
    """Return the mode called *text*, in any case, `-` for `_`.

    Raises:
        UsageError: there is no such mode; names *where* it stands.
    """
    name = text.strip().upper().replace("-", "_")
    if name == "TRASH":
        return SyncMode.OPT_OUT
    try:
        return SyncMode(name)
    except ValueError:
        names = ", ".join(mode.value for mode in SyncMode)
        raise UsageError(
            f"{where} is {text[:60]!r}, expected one of {names}",
            remedy="Run `spec-kitty sync mode MODE` with one of them.",
        ) from None


def project_settings(cwd: Path) -> Mapping[str, Any]:
    """Return the `sync` mapping of the project's config.yaml; empty without project or file.

    Raises:
        UsageError: the file is no YAML mapping.
    """
    root = find_project_root(cwd)
    # Parsing YAML takes longer than a whole status report, and few projects state a mode.
    section = read_config(root).get("sync") if root and mentions(root, "sync") else None
    return section if isinstance(section, dict) else {}


def resolve_mode(
    settings: Settings, config: SyncConfig, *, has_target: bool, team: str | None
) -> ResolvedMode:
    """Return the one answer to "in which mode", environment before project before machine.

    Raises:
        UsageError: the strongest statement names no mode.
    """
    env = settings.env(MODE_VARIABLE)
    if env is not None:
        return ResolvedMode(parse_mode(env, where=MODE_VARIABLE), ModeSource.ENVIRONMENT)
    stated = project_settings(settings.cwd).get("mode")
    if stated is not None:
        where = f"{CONFIG} sync.mode"
        return ResolvedMode(parse_mode(str(stated), where=where), ModeSource.PROJECT)
    if config.mode is not None:
        where = "config.toml sync.mode"
        return ResolvedMode(parse_mode(config.mode, where=where), ModeSource.MACHINE)
    if not has_target:
        return ResolvedMode(SyncMode.LOCAL_RETENTION, ModeSource.DEFAULT)
    default = SyncMode.TEAMSPACE if team else SyncMode.EXTERNAL_RECEIVER
    return ResolvedMode(default, ModeSource.DEFAULT)
