"""Where a git repository keeps its things, read from its files; git itself is never started."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync.errors import UsageError

_SCP_LIKE = re.compile(r"(?:[^@/]+@)?[^:/]+:(?P<path>[^:]+)")
_HOSTED = re.compile(r"[a-z][a-z0-9+.-]*://[^/]+/(?P<path>.+)", re.IGNORECASE)
_SECTION = re.compile(r'\[\s*remote\s+"origin"\s*\]', re.IGNORECASE)
_URL = re.compile(r"url\s*=\s*(?P<url>.+)", re.IGNORECASE)


@dataclass(frozen=True)
class Repository:
    """A working tree. `git_dir` is its own, `common_dir` the one all its worktrees share."""

    root: Path
    git_dir: Path
    common_dir: Path

    @property
    def main_root(self) -> Path:
        """The working tree that worktrees belong to; its own root where there is none."""
        if self.common_dir.name == ".git":
            return self.common_dir.parent
        return self.root

    @property
    def config(self) -> Path:
        return self.common_dir / "config"

    @property
    def head(self) -> Path:
        return self.git_dir / "HEAD"


def find_repository(start: Path) -> Repository | None:
    """Return the working tree at or above *start*, or None.

    Raises:
        UsageError: a file that says where the repository is cannot be read.
    """
    for folder in (start, *start.parents):
        git_dir = _git_dir(folder / ".git")
        if git_dir is not None:
            return Repository(folder, git_dir, _common_dir(git_dir))
    return None


def find_project_root(start: Path) -> Path | None:
    """Return the nearest folder at or above *start* that has `.kittify` or `.git`."""
    for folder in (start, *start.parents):
        if (folder / ".kittify").is_dir() or (folder / ".git").exists():
            return folder
    return None


def origin_url(repository: Repository) -> str | None:
    """Return the URL of the remote `origin`; it may hold a password, so show none of it."""
    inside = False
    for line in _lines(repository.config):
        text = line.strip()
        if text.startswith("["):
            inside = _SECTION.fullmatch(text) is not None
        elif inside and (found := _URL.fullmatch(text)):
            return found["url"].strip().strip('"')
    return None


def repo_slug(url: str) -> str | None:
    """Return `owner/name` of a hosted repository's URL, None for a local one."""
    found = _HOSTED.fullmatch(url) or _SCP_LIKE.fullmatch(url)
    if found is None:
        return None
    parts = [part for part in found["path"].split("/") if part]
    slug = "/".join(parts[-2:]).removesuffix(".git")
    return slug or None


def repo_name(url: str) -> str | None:
    """Return the last part of a repository's URL or path."""
    return re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git") or None


def _git_dir(entry: Path) -> Path | None:
    if entry.is_dir():
        return entry
    text = _pointer(entry)
    if not text.startswith("gitdir:"):
        return None
    return (entry.parent / text.removeprefix("gitdir:").strip()).resolve()


def _common_dir(git_dir: Path) -> Path:
    text = _pointer(git_dir / "commondir")
    return (git_dir / text).resolve() if text else git_dir


def _pointer(path: Path) -> str:
    """Return the path that a file of git's holds, "" without one.

    To take an unreadable one for none would give a worktree an identity of its own.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as exc:
        raise UsageError(
            f"{path} cannot be read: {exc.strerror}",
            remedy=f"See that {path} can be read, then run the same command again.",
        ) from exc


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
