"""What the commands do, for Python users: one function each, frozen results, no printing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_kitty_sync.sync.config import Settings

if TYPE_CHECKING:
    from spec_kitty_sync.auth.client import AuthClient, LoginState
    from spec_kitty_sync.delivery.dispatcher import StopSignal
    from spec_kitty_sync.delivery.report import DrainReport
    from spec_kitty_sync.diagnose import Diagnosis, Rules
    from spec_kitty_sync.events.models import Event
    from spec_kitty_sync.sync.heartbeat import Heartbeat
    from spec_kitty_sync.sync.modes import ResolvedMode
    from spec_kitty_sync.sync.status_report import StatusReport
    from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DeliveryResult:
    """What `sync now` did, and how things stand after it."""

    drain: DrainReport
    status: StatusReport
    exit_code: int


def target(settings: Settings) -> ResolvedSyncTarget:
    """Return where events of this home go, and why."""
    from spec_kitty_sync.sync.target_authority import resolve_target

    return resolve_target(settings)


def choose_server(
    settings: Settings, url: str, *, token_env: str | None = None
) -> ResolvedSyncTarget:
    """Write the server's address (and where its token is found) into `config.toml`.

    Raises:
        TargetUrlError: no usable http(s) URL; nothing was written.
    """
    from spec_kitty_sync.delivery.urls import canonical_url
    from spec_kitty_sync.sync.config import SyncConfig, write_settings

    canonical = canonical_url(url)
    changed = SyncConfig.load(settings.home).server_url != url
    # A token belongs to one server: choosing another forgets where the old one was found.
    token = {"token_env": token_env} if token_env or changed else {}
    write_settings(settings.home, {"server_url": canonical, **token})
    return target(settings)


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
    from spec_kitty_sync.delivery.urls import canonical_url

    url = canonical_url(server) if server else target(settings).require()
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
    value = None if auto else parse_mode(name, where="MODE").value
    write_settings(settings.home, {"mode": value})
    return mode(settings)


def watch(settings: Settings, show: Callable[[Heartbeat], None]) -> int:
    """Deliver in the foreground until SIGINT or SIGTERM; return the exit code."""
    from spec_kitty_sync.sync.watching import watch_home

    return watch_home(settings, show)


def deliver(
    settings: Settings,
    *,
    limit: int | None = None,
    include_team: str | None = None,
    watch: Progress | None = None,
    stop: StopSignal | None = None,
) -> DeliveryResult:
    """Deliver every event that may leave, to the one resolved target.

    Raises:
        NoTargetError, AmbiguousTargetError: refused before any network call.
        DrainLockedError: another process delivers to this target.
    """
    from spec_kitty_sync.sync.delivering import drain_home
    from spec_kitty_sync.sync.status import build_status

    drain = drain_home(settings, limit=limit, include_team=include_team, watch=watch, stop=stop)
    report = build_status(settings)
    return DeliveryResult(drain, report, _exit_code(drain, report))


def _exit_code(drain: DrainReport, report: StatusReport) -> int:
    if drain.stop is not None and drain.stop.code == "interrupted":
        return 130
    failed = drain.rejected + drain.dead + drain.terminal + drain.transient + drain.not_sent
    return 1 if failed or drain.stop is not None or report.legacy_sources.waiting else 0


def status(settings: Settings, *, check: bool = False) -> StatusReport:
    """Return how things stand; reads only. With *check* the server is asked too.

    Raises:
        StoreError: the journal cannot be read.
    """
    from spec_kitty_sync.sync.status import build_status

    return build_status(settings, check=check)


def diagnose(
    settings: Settings,
    rules: Rules,
    *,
    paths: Sequence[Path] = (),
    schema_dirs: Sequence[Path] = (),
) -> Diagnosis:
    """Return a diagnosis of *paths*, or without any of what waits in the home; reads only.

    *schema_dirs* hold JSON Schemas of event types that are to be known too. Nothing is read
    before the diagnosis' `results` are iterated.

    Raises:
        UsageError: a pack that nobody registered.
        RegistryLoadError: an extension is broken.
    """
    from spec_kitty_sync.diagnose import Diagnosis
    from spec_kitty_sync.registry_load import load_registry
    from spec_kitty_sync.sync.diagnose_sources import named_sources, waiting_sources

    validator = rules.validator(load_registry(schema_dirs=schema_dirs))
    sources = named_sources(paths) if paths else waiting_sources(settings)
    return Diagnosis(sources, validator.validate)
