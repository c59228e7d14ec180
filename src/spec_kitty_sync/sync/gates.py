"""What stands between a captured event and its target, decided in one place (CONTRACT 6)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.auth.client import AuthClient
from spec_kitty_sync.delivery.config import EventSyncConfig
from spec_kitty_sync.delivery.targets import Target, TargetRegistry
from spec_kitty_sync.errors import CredentialError, SpecKittyError, UnsafePathError
from spec_kitty_sync.identity.config_file import CONFIG
from spec_kitty_sync.identity.repository import find_project_root
from spec_kitty_sync.sync.blocked import BlockedReason
from spec_kitty_sync.sync.config import TOKEN_VARIABLE, Settings, SyncConfig
from spec_kitty_sync.sync.modes import (
    MODE_VARIABLE,
    ModeSource,
    ResolvedMode,
    resolve_mode,
)
from spec_kitty_sync.sync.target_authority import (
    OverrideMode,
    ResolvedSyncTarget,
    resolve_target,
)

if TYPE_CHECKING:
    from spec_kitty_sync._http import HttpClient

SYNC_FLAG = "SPEC_KITTY_ENABLE_SAAS_SYNC"
_FRESH_S = 5.0
_TOKEN_DEADLINE_S = 15.0


@dataclass(frozen=True)
class GateFacts:
    """All that the decision looks at; no secret in it. `retired` is the target's number."""

    mode: ResolvedMode
    override_mode: OverrideMode
    has_target: bool
    sync_enabled: bool
    authenticated: bool
    team: str | None
    private_gate_closed: bool
    retired: int | None = None


def blocked_reason(facts: GateFacts) -> BlockedReason | None:
    """Return why an event captured now cannot leave; None where only the network can tell."""
    if facts.mode.chosen and not facts.mode.delivers:
        return BlockedReason.LOCAL_RETENTION
    if facts.override_mode is OverrideMode.SETUP_ONLY:
        return BlockedReason.TARGET_CONFLICT
    if not facts.has_target or facts.retired is not None:
        return BlockedReason.NO_TARGET
    if facts.mode.to_teamspace:
        return _teamspace_reason(facts)
    return None


def _teamspace_reason(facts: GateFacts) -> BlockedReason | None:
    if not facts.sync_enabled:
        return BlockedReason.SYNC_DISABLED
    if not facts.authenticated:
        return BlockedReason.NO_AUTH
    if not facts.team:
        return BlockedReason.NO_TEAM
    if facts.private_gate_closed:
        return BlockedReason.PRIVATE_TEAMSPACE
    return None


@dataclass(frozen=True)
class Situation:
    """Where one run would deliver, as whom, in which mode, and what is in the way."""

    config: SyncConfig
    target: ResolvedSyncTarget
    mode: ResolvedMode
    auth: AuthClient
    facts: GateFacts

    @property
    def blocked(self) -> BlockedReason | None:
        return blocked_reason(self.facts)

    @property
    def in_the_way(self) -> str:
        """What is in the way, in words; empty where nothing is."""
        if self.facts.retired is not None and self.blocked is BlockedReason.NO_TARGET:
            return f"the target {self.target.resolved_server_url} is retired"
        return self.blocked.value.replace("_", " ") if self.blocked is not None else ""

    @property
    def remedy(self) -> str:
        """The one command that opens the way; empty where it is open."""
        if self.blocked is BlockedReason.NO_TARGET and self.facts.retired is not None:
            return (
                f"Run `spec-kitty sync targets restore {self.facts.retired}`, or "
                "`spec-kitty sync server URL` with another."
            )
        if self.blocked in _WANT_A_LOGIN and self.target.token_variable:
            return f"Run {self.by_login}, then `spec-kitty auth login` as a member of a team."
        return remedy_of(self.blocked, self.mode) if self.blocked is not None else ""

    @property
    def by_login(self) -> str:
        """The command after which a login counts again, where a variable holds the token."""
        if self.target.token_variable == TOKEN_VARIABLE:
            return f"`unset {TOKEN_VARIABLE}`"
        return f"`spec-kitty sync server {self.target.configured_server_url} --no-token-env`"

    @property
    def token_remedy(self) -> str:
        """What helps when the server does not accept the token."""
        name = self.target.token_variable
        if name is None:
            return f"Run `spec-kitty auth login`, or put a token into {TOKEN_VARIABLE}."
        return (
            f"Put a token that the server accepts into {name}; or run {self.by_login}, then "
            "`spec-kitty auth login`."
        )


def sync_enabled(settings: Settings) -> bool:
    """Whether delivery to Teamspace is switched on; unset counts as on."""
    return settings.env(SYNC_FLAG) != "0"


def look(
    settings: Settings,
    *,
    clock: Clock,
    registry: TargetRegistry | None = None,
    known: tuple[SyncConfig, ResolvedSyncTarget] | None = None,
) -> Situation:
    """Return the situation as of now, from files and environment; asks no server.

    *known*: what was read and resolved before. Whoever delivers must not resolve twice: between
    the two another process may choose another server.

    Raises:
        UsageError, TargetUrlError: a setting is wrong.
        UnsafePathError, CredentialError: the credentials must not, or cannot, be read.
    """
    if known is not None:
        config, target = known
    else:
        config = SyncConfig.load(settings.home)
        target = resolve_target(settings, config)
    url = target.resolved_server_url
    auth = auth_client(settings, config, url, clock=clock)
    has_target = url is not None
    mode = resolve_mode(settings, config, has_target=has_target, team=target.team_slug)
    row = known_target(registry, target) if registry is not None else None
    facts = GateFacts(
        mode=mode,
        override_mode=target.override_mode,
        has_target=has_target,
        sync_enabled=sync_enabled(settings),
        authenticated=auth.authenticated or bool(_variable(settings, target)),
        team=target.team_slug,
        private_gate_closed=bool(row and row.closed_login and row.closed_login == auth.login_id()),
        retired=row.target_id if row is not None and not row.active else None,
    )
    return Situation(config, target, mode, auth, facts)


def _variable(settings: Settings, target: ResolvedSyncTarget) -> str | None:
    """Return the token that a variable holds."""
    return settings.env(target.token_variable) if target.token_variable else None


def auth_client(
    settings: Settings, config: SyncConfig, url: str | None, *, clock: Clock
) -> AuthClient:
    """Return the login of this home as seen from the server at *url*."""

    def open_client() -> HttpClient:
        from spec_kitty_sync.sync.connecting import http_client

        return http_client(config, url, deadline_s=_TOKEN_DEADLINE_S)

    return AuthClient(settings.home.credentials, url, clock=clock, open_client=open_client)


def known_target(registry: TargetRegistry, resolved: ResolvedSyncTarget) -> Target | None:
    """Return the resolved target's row; None if nothing was ever sent there."""
    url = resolved.resolved_server_url
    if url is None:
        return None
    return registry.find(url, team_slug=resolved.team_slug, user_email=resolved.user_id)


_REMEDIES: Mapping[BlockedReason, str] = MappingProxyType(
    {
        BlockedReason.SYNC_DISABLED: f"Run `unset {SYNC_FLAG}`.",
        BlockedReason.NO_AUTH: "Run `spec-kitty auth login`.",
        BlockedReason.NO_TEAM: "Run `spec-kitty auth login` as a member of a team.",
        BlockedReason.PRIVATE_TEAMSPACE: "Run `spec-kitty auth login` as a member who may write.",
        BlockedReason.NO_TARGET: "Run `spec-kitty sync server URL`.",
        BlockedReason.TARGET_CONFLICT: (
            "Run `spec-kitty sync server URL` with the right one, or set "
            "SPEC_KITTY_TARGET_OVERRIDE=process."
        ),
        BlockedReason.NO_IDENTITY: "Correct one with `spec-kitty sync replace EVENT_ID --file F`.",
        BlockedReason.OFFLINE: "Check the network, then run `spec-kitty sync now`.",
        BlockedReason.PROTOCOL_MISMATCH: (
            "Check the address; `spec-kitty sync server URL` changes it."
        ),
    }
)
_WANT_A_LOGIN = (BlockedReason.NO_AUTH, BlockedReason.NO_TEAM, BlockedReason.PRIVATE_TEAMSPACE)
_MODE_REMEDIES: Mapping[ModeSource, str] = MappingProxyType(
    {
        ModeSource.ENVIRONMENT: f"Run `unset {MODE_VARIABLE}`.",
        ModeSource.PROJECT: f"Remove sync.mode from {CONFIG}.",
        ModeSource.MACHINE: "Run `spec-kitty sync mode auto`.",
        ModeSource.DEFAULT: "Run `spec-kitty sync server URL`.",
    }
)


def remedy_of(reason: BlockedReason, mode: ResolvedMode | None = None) -> str:
    """Return the one command that opens the way."""
    if reason is BlockedReason.LOCAL_RETENTION:
        return _MODE_REMEDIES[mode.source if mode is not None else ModeSource.MACHINE]
    return _REMEDIES[reason]


class GateKeeper:
    """The situation for a process that lives long: looked up again when a file has changed,
    and every few seconds for what other processes learn from the server."""

    def __init__(
        self, settings: Settings, look_again: Callable[[], Situation], clock: Clock
    ) -> None:
        self._look_again = look_again
        self._clock = clock
        root = find_project_root(settings.cwd)
        self._paths = [str(settings.home.config_toml), str(settings.home.credentials)]
        if root is not None:
            self._paths.append(str(root / CONFIG))
        self._stamps: tuple[object, ...] | None = None
        self._looked_at_s = 0.0
        self._situation: Situation | None = None
        self._blocked: BlockedReason | None = None

    def look(self) -> BlockedReason | None:
        """Return why an event captured now cannot leave, after a look at what has changed."""
        stamps = tuple([_stamp(path) for path in self._paths])
        now_s = self._clock.monotonic_s()
        if stamps != self._stamps or now_s - self._looked_at_s > _FRESH_S:
            self._stamps, self._looked_at_s = stamps, now_s
            self._refresh()
        return self._blocked

    @property
    def situation(self) -> Situation | None:
        """The situation at the latest look; None while a setting is wrong."""
        return self._situation

    @property
    def team_slug(self) -> str | None:
        """The team of the login for this target, at the latest look."""
        return self._situation.target.team_slug if self._situation is not None else None

    def policy(self) -> EventSyncConfig:
        """Return what the mode keeps, at the latest look; everything while a setting is wrong."""
        if self._situation is None:
            return EventSyncConfig.LOCAL_RETENTION
        return self._situation.mode.config

    def _refresh(self) -> None:
        try:
            self._situation = self._look_again()
            self._blocked = self._situation.blocked
        except SpecKittyError as exc:
            if self._situation is not None or self._blocked is None:
                import logging  # a report comes here only where something is wrong

                log = logging.getLogger(__name__)
                log.warning("events are kept, but not delivered: %s", exc.message)
            self._situation = None
            unreadable = isinstance(exc, CredentialError | UnsafePathError)
            self._blocked = BlockedReason.NO_AUTH if unreadable else BlockedReason.NO_TARGET


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
