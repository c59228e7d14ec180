"""Making events, and who makes them: emit, login, mode, watch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from spec_kitty_sync.sync.config import Settings

if TYPE_CHECKING:
    from spec_kitty_sync.auth.client import AuthClient, LoginState
    from spec_kitty_sync.events.models import Event
    from spec_kitty_sync.sync.heartbeat import Heartbeat
    from spec_kitty_sync.sync.modes import ResolvedMode


def emit(settings: Settings, event_type: str, payload: Mapping[str, Any], **options: Any) -> Event:
    """Append one event; *options* are those of `EventEmitter.emit`.

    Raises:
        InvalidEventError: it breaks a rule; nothing was stored.
    """
    from spec_kitty_sync.sync.emitting import open_emitter

    with open_emitter(settings) as emitter:
        return emitter.emit(event_type, options.pop("aggregate_id"), payload, **options)


def emit_fields(
    settings: Settings, event_type: str, fields: Mapping[str, Any], *, common: Mapping[str, Any]
) -> Event:
    """Append one event of the core pack through the emitter's method for its type.

    Raises:
        InvalidEventError: it breaks a rule; nothing was stored.
    """
    from spec_kitty_sync.sync.emitting import open_emitter
    from spec_kitty_sync.sync.typed_events import emit_typed

    with open_emitter(settings) as emitter:
        return emit_typed(emitter, event_type, {**fields, **common})


def login(
    settings: Settings, username: str, password: str, *, server: str | None = None
) -> LoginState | None:
    """Log in at *server* (default: the resolved target) and return who is logged in now.

    Raises:
        NoTargetError, AmbiguousTargetError, TargetUrlError: no server to log in at.
        CredentialError: user name or password are refused.
        DeliveryError: the server does not answer.
    """
    from spec_kitty_sync._urls import canonical_url
    from spec_kitty_sync.sync.target_authority import resolve_target

    url = canonical_url(server) if server else resolve_target(settings, with_login=False).require()
    client = _auth(settings, url)
    client.login(username, password)
    return client.state()


def login_state(settings: Settings) -> LoginState | None:
    """Return who is logged in, at whatever server; None when nobody is."""
    return _auth(settings, None).state()


def logout(settings: Settings) -> bool:
    """Forget the login; whether there was one."""
    return _auth(settings, None).logout()


def _auth(settings: Settings, url: str | None) -> AuthClient:
    from spec_kitty_sync._clock import SystemClock
    from spec_kitty_sync.sync.config import SyncConfig
    from spec_kitty_sync.sync.gates import auth_client

    return auth_client(settings, SyncConfig.load(settings.home), url, clock=SystemClock())


def mode(settings: Settings) -> ResolvedMode:
    """Return the sync mode of this run, and who chose it."""
    from spec_kitty_sync._clock import SystemClock
    from spec_kitty_sync.sync.gates import look

    return look(settings, clock=SystemClock()).mode


def choose_mode(settings: Settings, name: str) -> ResolvedMode:
    """Write the mode called *name* into `config.toml`; `auto` takes it out again.

    Raises:
        UsageError: there is no such mode; nothing was written.
    """
    from spec_kitty_sync.sync.config import write_settings
    from spec_kitty_sync.sync.modes import parse_mode

    auto = name.strip().lower() == "auto"
    value = None if auto else parse_mode(name, where="MODE").mode
    write_settings(settings.home, {"mode": value})
    return mode(settings)


def watch(settings: Settings, show: Callable[[Heartbeat], None]) -> int:
    """Deliver in the foreground until SIGINT or SIGTERM; return the exit code."""
    from spec_kitty_sync.sync.watching import watch_home

    return watch_home(settings, show)
