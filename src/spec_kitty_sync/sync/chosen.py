"""The targets that a home is set up for, whether anything was ever sent there or not."""

from __future__ import annotations

from typing import NamedTuple

from spec_kitty_sync._urls import canonical_url
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.target_authority import credentials_for, resolve_target


class Chosen(NamedTuple):
    """One address, and as whom events would go there."""

    url: str
    user: str | None
    team: str | None


def unregistered(settings: Settings, targets: TargetRegistry) -> tuple[Chosen, ...]:
    """Return the chosen targets that the ledger does not know yet. Writes nothing.

    Where nobody is logged in, whoever was at that address is the target, if there was anybody.
    """
    known = targets.all()
    urls = {each.url for each in known}
    identities = {(each.url, each.user_email, each.team_slug) for each in known}
    return tuple(
        each
        for each in _chosen(settings)
        if (each.url, each.user, each.team) not in identities
        and (each.user is not None or each.url not in urls)
    )


def register_chosen(settings: Settings, targets: TargetRegistry) -> None:
    """Make the chosen targets known: one is active from the moment it is chosen (CONTRACT 6).

    Whoever removes bytes calls it in the removing transaction, for another process may choose
    another server at any time.
    """
    for each in unregistered(settings, targets):
        targets.ensure(each.url, team_slug=each.team, user_email=each.user)


def _chosen(settings: Settings) -> tuple[Chosen, ...]:
    """Return one target; under a conflict of configuration and environment, both."""
    resolved = resolve_target(settings)
    if resolved.resolved_server_url is not None:
        return (Chosen(canonical_url(resolved.resolved_server_url), *resolved.login),)
    found = []
    for url in filter(None, (resolved.configured_server_url, resolved.env_server_url)):
        login = credentials_for(url, settings.home)
        whose = (login.username, login.team_slug) if login else (None, None)
        found.append(Chosen(canonical_url(url), *whose))
    return tuple(found)
