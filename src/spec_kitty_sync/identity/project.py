"""The project's identity in `.kittify/config.yaml` (CONTRACT 6, Identity).

The worktrees of one repository share the main working tree's identity.
"""

from __future__ import annotations

import hashlib
import logging
import re
import unicodedata
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.identity.config_file import CONFIG, read_config, write_project
from spec_kitty_sync.identity.node import generate_node_id
from spec_kitty_sync.identity.repository import (
    find_project_root,
    find_repository,
    origin_url,
    repo_name,
)

__all__ = [
    "CONFIG",
    "ProjectIdentity",
    "derive_slug_from_repo",
    "ensure_identity",
    "find_project_root",
    "load_identity",
]

_LOG = logging.getLogger(__name__)
_LOCK_WAIT_S = 10.0


@dataclass(frozen=True)
class ProjectIdentity:
    """Which project events belong to; any part may still be unknown."""

    project_uuid: UUID | None = None
    project_slug: str | None = None
    node_id: str | None = None

    @property
    def is_complete(self) -> bool:
        """True if all three parts are set."""
        return None not in (self.project_uuid, self.project_slug, self.node_id)

    def with_defaults(self, root: Path | None = None) -> ProjectIdentity:
        """Return a new identity whose gaps are filled."""
        return ProjectIdentity(
            project_uuid=self.project_uuid or uuid4(),
            project_slug=self.project_slug or derive_slug_from_repo(root),
            node_id=self.node_id or generate_node_id(),
        )


def derive_slug_from_repo(root: Path | None = None) -> str:
    """Return a kebab-case name from git's `origin`, else from the folder."""
    folder = (root or Path.cwd()).resolve()
    repository = find_repository(folder)
    url = origin_url(repository) if repository else None
    root_name = (repository.main_root if repository else folder).name
    name = (repo_name(url) if url else None) or root_name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "project"


def load_identity(root: Path) -> ProjectIdentity:
    """Read the identity of the project at *root*; a missing file or key leaves gaps.

    Raises:
        UsageError: a file is not YAML, or `project.uuid` is no version 4 UUID.
    """
    own = _stored(root)
    main = _main_root(root)
    if main == root:
        return own
    shared = _stored(main)
    return shared if shared.project_uuid is not None else own


def ensure_identity(root: Path, *, locks_dir: Path | None = None) -> ProjectIdentity:
    """Return the identity, filling and storing what is missing once.

    A project that cannot be written gets one for this process, with a warning. *locks_dir*
    keeps two processes from making two.

    Raises:
        UsageError: as `load_identity`; or another process keeps the lock for too long.
    """
    known = load_identity(root)
    if known.is_complete:
        return known
    home = _main_root(root)
    with ExitStack() as alone:
        try:
            alone.enter_context(_only_one(locks_dir, home))
        except TimeoutError as exc:
            # An identity of our own would stand beside the one that is being made.
            raise UsageError(
                f"{home / CONFIG}: another process holds the lock for its identity",
                remedy="End a `spec-kitty` that hangs, then run the same command again.",
            ) from exc
        except OSError as exc:
            _warn_not_stored(home, exc)
            return known.with_defaults(home)
        known = load_identity(root)
        full = known.with_defaults(home)
        if not known.is_complete:
            _store(home, full)
    return full


def _main_root(root: Path) -> Path:
    repository = find_repository(root)
    if repository is None:
        return root
    main = repository.main_root / root.relative_to(repository.root)
    return main if main.is_dir() else root


def _only_one(locks_dir: Path | None, home: Path) -> AbstractContextManager[object]:
    if locks_dir is None:
        return nullcontext()
    from filelock import FileLock

    name = hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]
    locks_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileLock(locks_dir / f"identity-{name}.lock", timeout=_LOCK_WAIT_S)


def _store(home: Path, identity: ProjectIdentity) -> None:
    parts = {
        "uuid": str(identity.project_uuid),
        "slug": str(identity.project_slug),
        "node_id": str(identity.node_id),
    }
    try:
        write_project(home, parts)
    except OSError as exc:
        _warn_not_stored(home, exc)


def _warn_not_stored(home: Path, exc: OSError) -> None:
    _LOG.warning(
        "%s cannot be written (%s): this project has an identity for this process only",
        home / CONFIG,
        exc.strerror or exc,
    )


def _stored(root: Path) -> ProjectIdentity:
    path = root / CONFIG
    project = read_config(root).get("project")
    if project is None:
        return ProjectIdentity()
    if not isinstance(project, dict):
        raise UsageError(f"{path}: project is not a mapping", remedy=f"Correct {path}.")
    return ProjectIdentity(
        _uuid(project.get("uuid"), path), _text(project.get("slug")), _text(project.get("node_id"))
    )


def _uuid(raw: Any, path: Path) -> UUID | None:
    if raw in (None, ""):
        return None
    try:
        uuid = UUID(str(raw))
    except ValueError:
        uuid = None
    if uuid is not None and uuid.int == 0:
        return None
    if uuid is None or uuid.version != 4 or str(uuid) != str(raw).lower():
        raise UsageError(
            f"{path}: project.uuid is {str(raw)[:60]!r}, expected a version 4 UUID",
            remedy=f"Correct project.uuid in {path}.",
        )
    return uuid


def _text(raw: Any) -> str | None:
    return str(raw) if raw not in (None, "") else None
