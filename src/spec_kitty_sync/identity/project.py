"""The project's identity in `.kittify/config.yaml` (CONTRACT 6, Identity)."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from spec_kitty_sync._files import write_atomic
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.identity.node import generate_node_id

CONFIG = Path(".kittify") / "config.yaml"


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
    source = _origin_name(folder) or folder.name
    return re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-") or "project"


def _origin_name(folder: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "remote", "get-url", "origin"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    url = done.stdout.strip().rstrip("/").removesuffix(".git")
    return re.split(r"[/:]", url)[-1] or None if done.returncode == 0 else None


def find_project_root(start: Path) -> Path | None:
    """Return the nearest folder at or above *start* that has `.kittify` or `.git`."""
    for folder in (start, *start.parents):
        if (folder / ".kittify").is_dir() or (folder / ".git").exists():
            return folder
    return None


def load_identity(root: Path) -> ProjectIdentity:
    """Read the identity; a missing file or key leaves gaps.

    Raises:
        UsageError: the file is not YAML, or `project.uuid` is no UUID.
    """
    project = _document(root).get("project") or {}
    raw = project.get("uuid")
    try:
        uuid = UUID(str(raw)) if raw else None
    except ValueError as exc:
        raise UsageError(
            f"{root / CONFIG}: project.uuid is {raw!r}, expected a UUID",
            remedy=f"Correct project.uuid in {root / CONFIG}.",
        ) from exc
    return ProjectIdentity(uuid, project.get("slug") or None, project.get("node_id") or None)


def ensure_identity(root: Path) -> ProjectIdentity:
    """Return the identity, filling and storing what is missing once."""
    known = load_identity(root)
    if known.is_complete:
        return known
    full = known.with_defaults(root)
    document = _document(root)
    project = document.setdefault("project", {})
    project["uuid"] = str(full.project_uuid)
    project["slug"] = full.project_slug
    project["node_id"] = full.node_id
    path = root / CONFIG
    path.parent.mkdir(exist_ok=True)
    out = io.StringIO()
    _yaml().dump(document, out)
    write_atomic(path, out.getvalue().encode())
    return full


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    return yaml


def _document(root: Path) -> Any:
    from ruamel.yaml.error import YAMLError

    path = root / CONFIG
    if not path.exists():
        return _yaml().map()
    try:
        return _yaml().load(path.read_text(encoding="utf-8")) or _yaml().map()
    except (YAMLError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path} is not valid YAML", remedy=f"Correct {path}.") from exc
