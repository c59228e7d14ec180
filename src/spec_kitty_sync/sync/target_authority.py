"""The one resolver of where events go (CONTRACT 6, Target authority).

Every surface asks `resolve_target`; nothing else reads the server address.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync._files import Home
from spec_kitty_sync._urls import canonical_url, same_origin, tidy_url
from spec_kitty_sync.auth.credentials import Credentials, load_credentials
from spec_kitty_sync.errors import AmbiguousTargetError, NoTargetError, TargetUrlError, UsageError
from spec_kitty_sync.sync.config import TOKEN_VARIABLE, Settings, SyncConfig

_NO_TEAM = "no-team"


class OverrideMode(enum.StrEnum):
    """How config and environment relate: agree, disagree, or the environment was chosen."""

    NONE = "none"
    SETUP_ONLY = "setup_only"
    PROCESS_OVERRIDE = "process_override"


class QueueScopeStatus(enum.StrEnum):
    """What the `active_queue_scope` file of older CLIs says; it never decides anything."""

    ABSENT = "absent"
    MATCHES = "matches"
    STALE_NON_AUTHORITATIVE = "stale_non_authoritative"


@dataclass(frozen=True)
class ResolvedSyncTarget:
    """Where this run would deliver, and why. `resolved_server_url` is None without a target
    and under `setup_only`. `token_variable` holds the token: then no login says who delivers."""

    configured_server_url: str | None
    env_server_url: str | None
    override_mode: OverrideMode
    resolved_server_url: str | None
    user_id: str | None
    team_slug: str | None
    derived_queue_scope: str | None
    queue_db_path: Path | None
    active_queue_scope_status: QueueScopeStatus
    token_variable: str | None = None

    @property
    def login(self) -> tuple[str | None, str | None]:
        """As whom: user and team."""
        return self.user_id, self.team_slug

    def require(self) -> str:
        """Return the address, or refuse before any network call.

        Raises:
            NoTargetError: neither config nor environment names one.
            AmbiguousTargetError: they name different ones.
        """
        if self.override_mode is OverrideMode.SETUP_ONLY:
            raise AmbiguousTargetError(
                f"config.toml says {self.configured_server_url}, "
                f"SPEC_KITTY_SAAS_URL says {self.env_server_url}",
                remedy=(
                    f"Run `spec-kitty sync server {self.env_server_url}` to change the "
                    "configuration, or set SPEC_KITTY_TARGET_OVERRIDE=process for this run "
                    f"only; `unset SPEC_KITTY_SAAS_URL` keeps {self.configured_server_url}."
                ),
                configured_server_url=self.configured_server_url,
                env_server_url=self.env_server_url,
            )
        if self.resolved_server_url is None:
            raise NoTargetError("no server is configured; events stay in the journal")
        return self.resolved_server_url


def resolve_target(
    settings: Settings, config: SyncConfig | None = None, *, with_login: bool = True
) -> ResolvedSyncTarget:
    """Return the one answer to "where do events go" for this home and environment.

    Without *with_login* the credentials are not read: a damaged file must not keep anybody from
    logging in again.
    """
    config = config or SyncConfig.load(settings.home)
    configured = _tidy(config.server_url, "config.toml sync.server_url")
    env = _tidy(settings.env("SPEC_KITTY_SAAS_URL"), "SPEC_KITTY_SAAS_URL")
    mode, url = _decide(configured, env, settings.env("SPEC_KITTY_TARGET_OVERRIDE"))
    variable = _token_variable(settings, config, configured, url)
    # Whose token a variable holds nobody knows: the login's user is not told to have delivered.
    asked = url is not None and with_login and variable is None
    credentials = credentials_for(url, settings.home) if url and asked else None
    user = credentials.username if credentials else None
    team = credentials.team_slug if credentials else None
    scope = build_queue_scope(url, user, team) if url and user else None
    return ResolvedSyncTarget(
        configured_server_url=configured,
        env_server_url=env,
        override_mode=mode,
        resolved_server_url=url,
        user_id=user,
        team_slug=team,
        derived_queue_scope=scope,
        queue_db_path=scope_db_path(scope, settings.home) if scope else None,
        active_queue_scope_status=_scope_status(settings.home, scope),
        token_variable=variable,
    )


def _token_variable(
    settings: Settings, config: SyncConfig, configured: str | None, url: str | None
) -> str | None:
    """Return the variable whose token is used: `token_env` belongs to the configured origin."""
    if config.token_env and url and configured and same_origin(url, configured):
        return config.token_env
    return TOKEN_VARIABLE if settings.env(TOKEN_VARIABLE) else None


def _decide(
    configured: str | None, env: str | None, override: str | None
) -> tuple[OverrideMode, str | None]:
    if override not in (None, "process"):
        raise UsageError(
            f"SPEC_KITTY_TARGET_OVERRIDE is {override!r}, expected 'process' or nothing",
            remedy="Run `unset SPEC_KITTY_TARGET_OVERRIDE`.",
        )
    if configured and env and canonical_url(configured) != canonical_url(env):
        if override == "process":
            return OverrideMode.PROCESS_OVERRIDE, env
        return OverrideMode.SETUP_ONLY, None
    return OverrideMode.NONE, configured or env


def _tidy(url: str | None, source: str) -> str | None:
    if url is None:
        return None
    try:
        return tidy_url(url)
    except TargetUrlError as exc:
        raise TargetUrlError(f"{source}: {exc.message}", remedy=exc.remedy) from exc


def credentials_for(url: str, home: Home) -> Credentials | None:
    """Return the stored credentials if they were issued by *url*'s origin."""
    credentials = load_credentials(home.credentials)
    if credentials is None:
        return None
    return credentials if same_origin(credentials.server_url, url) else None


def build_queue_scope(server_url: str, username: str, team_slug: str | None) -> str:
    """Return the scope text of older CLIs: server, user and team, lower case, `|` between."""
    server = server_url.strip().lower().rstrip("/")
    team = (team_slug or _NO_TEAM).strip().lower()
    return f"{server}|{username.strip().lower()}|{team}"


def scope_digest(scope: str) -> str:
    """Return the 16 hex digits that name a scope's queue file."""
    import hashlib  # only old queues and logins are named by it

    return hashlib.sha256(scope.encode()).hexdigest()[:16]


def scope_db_path(scope: str, home: Home | None = None) -> Path:
    """Return where older CLIs keep the queue of *scope* (default home: the environment's)."""
    home = home or Home.resolve(os.environ)
    return home.queues_dir / f"queue-{scope_digest(scope)}.db"


def _scope_status(home: Home, scope: str | None) -> QueueScopeStatus:
    try:
        stored = home.active_queue_scope.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return QueueScopeStatus.ABSENT
    if not stored:
        return QueueScopeStatus.ABSENT
    return QueueScopeStatus.MATCHES if stored == scope else QueueScopeStatus.STALE_NON_AUTHORITATIVE
