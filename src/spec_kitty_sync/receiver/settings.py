"""How one receiver is set up; the command line and tests fill it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.principals import Lifetimes, User


@dataclass(frozen=True, slots=True)
class Deployment:
    """What health says about this deployment; None where unknown."""

    deployment_id: str | None = None
    environment_name: str | None = "reference"
    git_sha: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`users` None: no authentication at all.

    `database` is the path of an SQLite file or a `postgresql://` URL. With `accounts` the users
    stand in it. `public_url` is how clients reach the receiver through a proxy.

    `pending_s` makes every stored event `pending` for that long; `protocols` None takes
    every protocol version; `faults` names what is broken on purpose.
    """

    database: Path | str
    users: tuple[User, ...] | None = None
    accounts: bool = False
    public_url: str | None = None
    limits: Limits = field(default_factory=Limits)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    deployment: Deployment = field(default_factory=Deployment)
    tiers: frozenset[int] | None = None
    packs: frozenset[str] | None = None
    schema_dirs: tuple[Path, ...] = ()
    pending_s: float = 0.0
    protocols: tuple[str, ...] | None = None
    test_hooks: bool = False
    faults: tuple[str, ...] = ()

    @property
    def open_to_all(self) -> bool:
        """Whether nobody has to say who they are."""
        return self.users is None and not self.accounts
