"""Whose queue a file was: a digest is one-way, so we try what we know (CONTRACT 6).

Nothing is made up: a digest that no known combination gives stays unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.sync.target_authority import build_queue_scope

# Where 3.2.0 and later sent events when nothing was configured; it only explains digests.
_OLD_DEFAULT_SERVER = "https://spec-kitty-dev.fly.dev"
_LENGTHS = (16, 64)


@dataclass(frozen=True)
class Identity:
    """One combination that may have named a queue; a part that is None is not known."""

    server: str | None
    user: str | None
    team: str | None


def parse_scope(text: str) -> Identity:
    """Return what `--scope server,user,team` names; the team may be left out.

    Raises:
        UsageError: it has not two or three parts.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 3) or not all(parts[:2]):
        raise UsageError(
            f"--scope {text!r} is not server,user,team",
            remedy="Write it as `--scope https://server.example,user@example.com,team`.",
        )
    return Identity(parts[0], parts[1], parts[2] if len(parts) == 3 and parts[2] else None)


class Scopes:
    """Finds the scope text behind a queue's digest."""

    def __init__(self, known: Iterable[Identity], texts: Iterable[str] = ()) -> None:
        self._by_digest: dict[str, str] = {}
        for text in (*texts, *_combinations(tuple(known))):
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            for length in _LENGTHS:
                self._by_digest.setdefault(digest[:length], text)

    def resolve(self, digest: str | None) -> str | None:
        """Return the scope (`server|user|team`) whose digest this is, None if unknown."""
        return self._by_digest.get(digest) if digest else None


def _combinations(known: tuple[Identity, ...]) -> Iterator[str]:
    """Yield each given combination first, then every mix of the parts that are known."""
    servers = {i.server for i in known if i.server} | {_OLD_DEFAULT_SERVER}
    users = {i.user for i in known if i.user}
    teams: set[str | None] = {i.team for i in known} | {None}
    given = [(i.server, i.user, i.team) for i in known if i.server and i.user]
    mixed = product(sorted(servers), sorted(users), sorted(teams, key=str))
    for server, user, team in (*given, *mixed):
        yield build_queue_scope(server, user, team)
        # 3.2.4 derived some of its names from parts folded to ASCII.
        yield build_queue_scope(_folded(server), _folded(user), _folded(team) if team else None)


def _folded(text: str) -> str:
    return "".join(c if c.isascii() else f"_u{ord(c):04x}_" for c in text)
