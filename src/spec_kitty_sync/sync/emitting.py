"""An emitter for the project that a command was started in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.identity.project import (
    ProjectIdentity,
    ensure_identity,
    find_project_root,
)
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.emitter import EventEmitter
from spec_kitty_sync.sync.workspace import open_workspace


@contextmanager
def open_emitter(settings: Settings) -> Iterator[EventEmitter]:
    """Open the home and yield its emitter; outside a project, identity stays unknown."""
    from ulid import ULID

    root = find_project_root(settings.cwd)
    with open_workspace(settings) as workspace:
        yield EventEmitter(
            store=workspace.store,
            queue=workspace.journal,
            registry=default_registry(),
            settings=settings,
            identity=ensure_identity(root) if root else ProjectIdentity(),
            clock=workspace.clock,
            new_id=lambda: str(ULID()),
            team_slug=workspace.resolved.team_slug,
        )
