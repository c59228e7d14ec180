"""What the commands do, for Python users: one function each, frozen results, no printing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_kitty_sync.sync.config import Settings

if TYPE_CHECKING:
    from spec_kitty_sync.delivery.dispatcher import StopSignal
    from spec_kitty_sync.delivery.report import DrainReport
    from spec_kitty_sync.diagnose import Diagnosis, Rules
    from spec_kitty_sync.events.models import Event
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
