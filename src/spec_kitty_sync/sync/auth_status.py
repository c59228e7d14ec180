"""As whom and in which mode events would leave, read from files alone."""

from typing import NamedTuple

from spec_kitty_sync._clock import Clock, utc_iso
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.gates import Situation, look
from spec_kitty_sync.sync.status_report import AuthSection
from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget


class AuthStanding(NamedTuple):
    """The section, the target behind it, what is in the way, and the commands that open it."""

    section: AuthSection
    resolved: ResolvedSyncTarget
    in_the_way: str
    retired: bool
    remedy: str
    login_remedy: str

    @property
    def facts_missing(self) -> bool:
        """Whether there is no server to ask."""
        return self.resolved.resolved_server_url is None


def auth_standing(
    settings: Settings, targets: TargetRegistry | None, *, clock: Clock
) -> AuthStanding:
    """Return as whom events would leave; asks no server.

    Raises:
        UsageError, TargetUrlError: a setting is wrong.
        UnsafePathError, CredentialError: the credentials must not, or cannot, be read.
    """
    situation = look(settings, clock=clock, registry=targets)
    return AuthStanding(
        _section(situation),
        situation.target,
        situation.in_the_way,
        situation.facts.retired is not None,
        situation.remedy,
        situation.token_remedy,
    )


def _section(situation: Situation) -> AuthSection:
    credentials = situation.auth.credentials
    expires = credentials.access_expires if credentials else None
    return AuthSection(
        mode=situation.mode.name,
        mode_source=situation.mode.source.value,
        authenticated=situation.facts.authenticated,
        user=situation.target.user_id,
        team=situation.target.team_slug,
        server_url=credentials.server_url if credentials else None,
        access_expires_at=utc_iso(int(expires.timestamp() * 1000)) if expires else None,
        blocked=situation.blocked.value if situation.blocked is not None else None,
    )
