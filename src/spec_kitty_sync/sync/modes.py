"""Which mode this project syncs in, and who said so (CONTRACT 6, Modes)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec_kitty_sync.delivery.config import Delivery, EventSyncConfig
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.identity.config_file import CONFIG, mentions, read_config
from spec_kitty_sync.identity.repository import find_project_root
from spec_kitty_sync.sync.config import Settings, SyncConfig

MODE_VARIABLE = "SPEC_KITTY_SYNC_MODE"


class ModeSource(enum.StrEnum):
    """Who chose the mode, the strongest first."""

    ENVIRONMENT = "environment"
    PROJECT = "project"
    MACHINE = "machine"
    DEFAULT = "default"


@dataclass(frozen=True)
class ResolvedMode:
    """The mode of this run and where it was stated."""

    config: EventSyncConfig
    source: ModeSource

    @property
    def name(self) -> str:
        return self.config.mode

    @property
    def chosen(self) -> bool:
        return self.source is not ModeSource.DEFAULT

    @property
    def delivers(self) -> bool:
        return self.config.delivery is not Delivery.NONE

    @property
    def to_teamspace(self) -> bool:
        return self.config.delivery is Delivery.TEAMSPACE


def parse_mode(text: str, *, where: str) -> EventSyncConfig:
    """Return the mode called *text*.

    Raises:
        UsageError: there is no such mode; names *where* it stands.
    """
    try:
        return EventSyncConfig.from_mode(text)
    except UsageError as exc:
        raise UsageError(f"{where}: {exc.message}", remedy=exc.remedy) from None


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
    default = EventSyncConfig.from_mode(None, has_target=has_target, has_team=bool(team))
    return ResolvedMode(default, ModeSource.DEFAULT)
