"""Where events go, getting them there, and putting single ones right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spec_kitty_sync.sync.config import Settings

if TYPE_CHECKING:
    from spec_kitty_sync.delivery.dispatcher import StopSignal
    from spec_kitty_sync.delivery.report import DrainReport
    from spec_kitty_sync.sync.correcting import Corrected, Retried, RetryChoice
    from spec_kitty_sync.sync.delivering import DrainChoices
    from spec_kitty_sync.sync.drain_preview import DrainPreview
    from spec_kitty_sync.sync.status_report import StatusReport, TargetSummary
    from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget
    from spec_kitty_sync.sync.target_list import TargetDetail

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DeliveryResult:
    """What `sync now` did, and how things stand after it. `failed`: rows of the report file;
    `target`: what `--target` named, which another run has to name again.
    """

    drain: DrainReport
    status: StatusReport
    exit_code: int
    failed: int | None = None
    target: str | None = None


def target(settings: Settings) -> ResolvedSyncTarget:
    """Return where events of this home go, and why."""
    from spec_kitty_sync.sync.target_authority import resolve_target

    return resolve_target(settings)


def configured_server(settings: Settings) -> str | None:
    """Return the address that `config.toml` names now, None if it names none.

    Raises:
        UsageError: `config.toml` cannot be read.
    """
    from spec_kitty_sync.sync.config import SyncConfig

    return SyncConfig.load(settings.home).server_url


def choose_server(
    settings: Settings,
    url: str,
    *,
    token_env: str | None = None,
    no_token_env: bool = False,
    allow_http: bool = False,
    ca_file: Path | None = None,
) -> ResolvedSyncTarget:
    """Write the server's address, and what else it needs, into `config.toml`.

    Raises:
        TargetUrlError: no usable http(s) URL, or plain http to another machine without
            *allow_http*; nothing was written.
        UsageError: *ca_file* holds no certificate; nothing was written.
    """
    from spec_kitty_sync.sync import choosing

    return choosing.choose_server(
        settings,
        url,
        token_env=token_env,
        no_token_env=no_token_env,
        allow_http=allow_http,
        ca_file=ca_file,
    )


def for_target(settings: Settings, name: str) -> Settings:
    """Return *settings* for one run towards the target *name*: its number, or an address.

    Raises:
        TargetNotFoundError, CredentialError, TargetUrlError
    """
    from spec_kitty_sync.sync.choosing import for_this_run

    return for_this_run(settings, name)


def deliver(
    settings: Settings,
    choices: DrainChoices | None = None,
    *,
    report: Path | None = None,
    watch: Progress | None = None,
    stop: StopSignal | None = None,
) -> DeliveryResult:
    """Deliver every event that may leave, to the one resolved target.

    *report* is a file for everything that failed.

    Raises:
        NoTargetError, AmbiguousTargetError, CredentialError, DeliveryBlockedError: refused before
            any network call.
        DrainLockedError: another process delivers to this target.
        UsageError: *report* cannot be written.
    """
    from spec_kitty_sync.sync.delivering import drain_home
    from spec_kitty_sync.sync.failure_report import check_writable, write_report
    from spec_kitty_sync.sync.status import build_status

    if report is not None:
        check_writable(report)
    drain = drain_home(settings, choices, watch=watch, stop=stop)
    standing = build_status(settings)
    failed = write_report(settings, drain, report) if report is not None else None
    return DeliveryResult(drain, standing, _exit_code(drain, standing), failed)


def _exit_code(drain: DrainReport, report: StatusReport) -> int:
    if drain.stop is not None and drain.stop.code == "interrupted":
        return 130
    from spec_kitty_sync.sync.summary import is_left_to_do

    failed = drain.rejected + drain.dead + drain.terminal + drain.transient + drain.not_sent
    return 1 if failed or drain.stop is not None or is_left_to_do(report) else 0


def preview(
    settings: Settings, *, limit: int | None = None, redeliver: bool = False
) -> DrainPreview:
    """Return what `deliver` would take up now; writes nothing, asks no server.

    Raises:
        NoTargetError, AmbiguousTargetError, CredentialError, DeliveryBlockedError
    """
    from spec_kitty_sync.sync.drain_preview import preview_drain

    return preview_drain(settings, limit=limit, redeliver=redeliver)


def targets(settings: Settings) -> tuple[TargetSummary, ...]:
    """Return every target that was ever delivered to; reads only."""
    from spec_kitty_sync.sync.target_list import list_targets

    return list_targets(settings)


def show_target(settings: Settings, name: str) -> TargetDetail:
    """Return one target, by number or address, with its deployments; reads only.

    Raises:
        TargetNotFoundError: no target has that number or address.
    """
    from spec_kitty_sync.sync import target_list

    return target_list.show_target(settings, name)


def set_target_active(settings: Settings, name: str, *, active: bool) -> TargetSummary:
    """Retire a target, or take it into use again; its history stays either way.

    Raises:
        TargetNotFoundError: no target has that number or address.
    """
    from spec_kitty_sync.sync.target_list import set_active

    return set_active(settings, name, active=active)


def confirm_target(settings: Settings, name: str) -> TargetSummary:
    """Note that a target's server still has what was delivered, whatever it calls itself now.

    Raises:
        TargetNotFoundError: no target has that number or address.
    """
    from spec_kitty_sync.sync.target_list import confirm

    return confirm(settings, name)


def retry(settings: Settings, choice: RetryChoice) -> Retried:
    """Open the chosen events for the present target again.

    Raises:
        UsageError: nothing is chosen, or an id is not in the journal.
        NoTargetError: nothing was sent to the present target yet.
    """
    from spec_kitty_sync.sync.correcting import retry_events

    return retry_events(settings, choice)


def replace(
    settings: Settings, source: Path, *, event_id: str | None = None, reason: str = ""
) -> Corrected:
    """Put new bytes in place of events that no target accepted; their ids stay.

    Raises:
        UsageError, ContractError: see `sync.correcting.replace_events`.
    """
    from spec_kitty_sync.sync.correcting import replace_events

    return replace_events(settings, source, event_id=event_id, reason=reason)


def discard(settings: Settings, event_ids: Sequence[str], *, reason: str) -> Corrected:
    """Remove the bytes of events that no target accepted; rows and an audit entry stay.

    Raises:
        ContractError: the only one that is named cannot be discarded.
    """
    from spec_kitty_sync.sync.correcting import discard_events

    return discard_events(settings, event_ids, reason=reason)
