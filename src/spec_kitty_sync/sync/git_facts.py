"""Branch, head and name of the repository that an event was made in; no git process is started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.identity.repository import (
    Repository,
    find_repository,
    origin_url,
    repo_slug,
)

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class GitFacts:
    """What is known; None where git does not say."""

    git_branch: str | None = None
    head_commit_sha: str | None = None
    repo_slug: str | None = None


class GitFactsReader:
    """Reads the files of one repository again only when they have changed."""

    def __init__(self, start: Path) -> None:
        try:
            self._repository = find_repository(start)
        except UsageError:
            self._repository = None  # these facts only inform; the identity's reader warns
        self._stamps: tuple[Stamp | None, ...] | None = None
        self._watched: tuple[str, ...] = ()
        self._facts = GitFacts()

    def read(self) -> GitFacts:
        """Return the facts as of now: a few stat calls where nothing has changed."""
        if self._repository is not None and (self._stamps is None or self._stamp() != self._stamps):
            self._facts = self._look(self._repository)
            self._stamps = self._stamp()
        return self._facts

    def _stamp(self) -> tuple[Stamp | None, ...]:
        return tuple([_stamp(path) for path in self._watched])

    def _look(self, repository: Repository) -> GitFacts:
        packed = repository.common_dir / "packed-refs"
        watched = [repository.head, repository.config, packed]
        head = _first_line(repository.head)
        url = origin_url(repository)
        slug = repo_slug(url) if url else None
        facts = GitFacts(None, head or None, slug)
        if head.startswith("ref: "):
            name = head.removeprefix("ref: ")
            ref = repository.common_dir / name
            watched.append(ref)
            facts = GitFacts(
                name.removeprefix("refs/heads/"), _first_line(ref) or _packed(packed, name), slug
            )
        self._watched = tuple([str(path) for path in watched])
        # Refs may be kept in a table that only git reads.
        return GitFacts(repo_slug=slug) if facts.git_branch == ".invalid" else facts


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""


def _packed(path: Path, name: str) -> str | None:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        sha, _, ref = line.partition(" ")
        if ref == name:
            return sha
    return None
