"""The requirements: which rules a receiver is held to, in the words of the contract."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from spec_kitty_sync._files import shared_path

CAPTURED = "captured"
"""The profile of `--events`: what can be asked of events in a file."""
PROFILES = ("first-light", "core", "extended", "hardened", "soak")


@dataclass(frozen=True)
class Requirement:
    """One row of the catalogue; `clause` and `sentence` say where the contract demands it.

    `captured`: it can be asked of events in a file, without running anything.
    """

    id: str
    level: str
    profile: str
    title: str
    clause: str
    sentence: str
    why: str
    capability: str = ""
    first_light: bool = False
    provisional: bool = False
    captured: bool = False
    after: tuple[str, ...] = ()

    @property
    def about_receivers(self) -> bool:
        """Whether receivers are held to it, not producers or migration tools."""
        return kind_of(self.id) == "receiver"

    @property
    def decides(self) -> bool:
        """Whether a failure makes the receiver not conformant."""
        return self.level == "MUST" and not self.provisional


def kind_of(check_id: str) -> str:
    """Return whose check *check_id* is: receiver, producer or migration."""
    return {"SKP": "producer", "SKM": "migration"}.get(check_id[:3], "receiver")


@dataclass(frozen=True)
class Catalogue:
    """A released set of requirements, in the order in which they are run."""

    version: str
    requirements: tuple[Requirement, ...]

    def __getitem__(self, check_id: str) -> Requirement:
        for requirement in self.requirements:
            if requirement.id == check_id:
                return requirement
        raise KeyError(check_id)

    def without_prerequisites(self) -> Catalogue:
        """Return the same rows, none of which waits for another."""
        rows = tuple(replace(row, after=()) for row in self.requirements)
        return replace(self, requirements=rows)

    def selected(self, profile: str) -> tuple[Requirement, ...]:
        """Return the rows of *profile*: each profile holds the ones before it."""
        if profile == CAPTURED:
            return tuple(row for row in self.requirements if row.captured)
        if profile == "first-light":
            return tuple(row for row in self.requirements if row.first_light)
        allowed = set(PROFILES[1 : PROFILES.index(profile) + 1])
        return tuple(row for row in self.requirements if row.profile in allowed)


def catalogue_path(version: str = "1.0", kind: str = "receiver") -> Path:
    """Return the file that holds the requirements of contract *version* for a *kind* of subject."""
    stem = version if kind == "receiver" else f"{kind}-{version}"
    return shared_path("conformance", "requirements", f"{stem}.toml")


@cache
def load_catalogue(path: Path | None = None) -> Catalogue:
    """Read the catalogue at *path* (default: the packaged one), once per process."""
    data = tomllib.loads((path or catalogue_path()).read_text(encoding="utf-8"))
    rows = []
    for row in data["requirement"]:
        rows.append(Requirement(**{**row, "after": tuple(row.get("after", ()))}))
    return Catalogue(data["version"], tuple(rows))
