"""The project that a command was started in: who it is and what its repository says."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from spec_kitty_sync._files import Home
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.identity.node import generate_node_id
from spec_kitty_sync.identity.project import (
    ProjectIdentity,
    ensure_identity,
    find_project_root,
)
from spec_kitty_sync.sync.git_facts import GitFactsReader

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProjectContext:
    """What goes into every envelope of one project."""

    identity: ProjectIdentity
    node_id: str
    git: GitFactsReader = field(repr=False)

    @property
    def project_uuid(self) -> str | None:
        uuid = self.identity.project_uuid
        return None if uuid is None else str(uuid)


def project_context(cwd: Path, home: Home) -> ProjectContext:
    """Return the context of *cwd*; where the project's file is wrong, without its identity."""
    root = find_project_root(cwd)
    identity = ProjectIdentity()
    if root is not None:
        try:
            identity = ensure_identity(root, locks_dir=home.locks_dir)
        except UsageError as exc:
            _LOG.warning("events are kept without project identity: %s", exc.message)
    return ProjectContext(identity, generate_node_id(), GitFactsReader(cwd))
