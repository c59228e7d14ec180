"""One drain of a home: the gates, the receiver for its mode, the dispatcher, what it came to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.delivery.dispatcher import Dispatcher, DrainOptions, StopSignal
from spec_kitty_sync.delivery.lock import WAIT_S
from spec_kitty_sync.delivery.receivers import (
    CredentialSource,
    DeliveryReceiver,
    ExternalReceiver,
    Membership,
    ReceiverOptions,
    RetrySemantics,
    StaticToken,
    TeamspaceReceiver,
)
from spec_kitty_sync.delivery.redelivery import redeliver
from spec_kitty_sync.delivery.report import DrainReport
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.errors import CredentialError, DeliveryBlockedError
from spec_kitty_sync.sync.blocked import BlockedReason, BlockedRuns, reason_of_stop
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.connecting import http_client
from spec_kitty_sync.sync.gates import Situation, look, sync_enabled
from spec_kitty_sync.sync.health import Health, ask_health
from spec_kitty_sync.sync.workspace import Workspace, open_workspace

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DrainChoices:
    """What the operator chose for one drain.

    `redeliver` begins a new epoch first; `wait_s` is how long throttling is waited out.
    """

    limit: int | None = None
    include_team: str | None = None
    redeliver: bool = False
    wait_s: float | None = None


def drain_home(
    settings: Settings,
    choices: DrainChoices | None = None,
    *,
    watch: Callable[[int, int], None] | None = None,
    stop: StopSignal | None = None,
    lock_wait_s: float = WAIT_S,
) -> DrainReport:
    """Deliver what the resolved target of this home has not been told yet.

    What it came to is written beside the events that still wait.

    Raises:
        NoTargetError, AmbiguousTargetError, CredentialError, DeliveryBlockedError: refused before
            any network call.
        DrainLockedError: another process delivers to this target.
    """
    choices = choices or DrainChoices()
    options = DrainOptions(
        limit=choices.limit,
        include_team=choices.include_team,
        progress=watch,
        lock_wait_s=lock_wait_s,
    )
    if stop is not None:
        options = replace(options, stop=stop)
    with open_workspace(settings) as workspace:
        runs = BlockedRuns(workspace.store, clock=workspace.clock)
        situation = look(
            settings,
            clock=workspace.clock,
            registry=workspace.targets,
            known=(workspace.config, workspace.resolved),
        )
        if situation.blocked is not None:
            runs.record_attempt(situation.blocked)
            refuse_blocked(situation)
        report = _with_remedy(_drain(workspace, situation, choices, options), situation)
        _write_down(runs, situation, report)
        return report


def _with_remedy(report: DrainReport, situation: Situation) -> DrainReport:
    """Return *report* with what helps where the token of a variable was refused: no login does."""
    refused = report.stop is not None and report.stop.code in ("auth_expired", "forbidden")
    if report.stop is None or not refused or situation.target.token_variable is None:
        return report
    return replace(report, stop=replace(report.stop, remedy=situation.token_remedy))


def refuse_blocked(situation: Situation) -> None:
    """Raise what stands in the way.

    Raises:
        NoTargetError, AmbiguousTargetError, CredentialError, DeliveryBlockedError
    """
    reason = situation.blocked
    if reason is BlockedReason.NO_TARGET or reason is BlockedReason.TARGET_CONFLICT:
        situation.target.require()
    if reason is BlockedReason.NO_AUTH:
        url = situation.target.resolved_server_url
        raise CredentialError(f"nobody is logged in at {url}", remedy=situation.remedy)
    if reason is not None:
        retired = situation.facts.retired is not None and reason is BlockedReason.NO_TARGET
        raise DeliveryBlockedError(
            situation.in_the_way if retired else f"delivery is blocked: {reason.value}",
            remedy=situation.remedy,
            reason="retired" if retired else reason.value,
        )


def _drain(
    workspace: Workspace, situation: Situation, choices: DrainChoices, options: DrainOptions
) -> DrainReport:
    target = workspace.active_target()
    health = ask_health(target.url, workspace.config)
    learn(workspace, target, health)
    # After that: a new epoch answers for whatever deployment was seen before it.
    if choices.redeliver:
        locks_dir = workspace.settings.home.locks_dir
        target = redeliver(workspace.store, target, locks_dir=locks_dir, clock=workspace.clock)
    retry = RetrySemantics(max_rejections=workspace.config.max_retries)
    if choices.wait_s is not None:
        retry = replace(retry, wait_s=choices.wait_s)
    receiving = ReceiverOptions(limits=health.limits, retry=retry, clock=workspace.clock)
    dispatcher = Dispatcher(
        workspace.store, workspace.journal, ledger=workspace.ledger, clock=workspace.clock
    )
    with http_client(workspace.config, target.url) as client:
        return dispatcher.drain(
            target,
            receiver_for(workspace, target, client, situation=situation, options=receiving),
            locks_dir=workspace.settings.home.locks_dir,
            options=options,
        )


def learn(workspace: Workspace, target: Target, health: Health) -> None:
    """Remember what the server said of itself; say so where its data may be gone."""
    # A server that leaves the limit out has none; one that does not answer has not said so.
    if health.answered or health.max_event_bytes is not None:
        workspace.targets.limit_events(target.target_id, health.max_event_bytes)
    change = workspace.targets.see_deployment(target.target_id, health.deployment)
    if change is not None and change.reset_suspected:
        _LOG.warning(
            "%s answers as another deployment than before: if its data is gone, "
            "`spec-kitty sync now --redeliver` sends everything again",
            target.url,
        )


def _write_down(runs: BlockedRuns, situation: Situation, report: DrainReport) -> None:
    if report.stop is None:
        runs.record_attempt(None)
        return
    forbidden = report.stop.http_status == 403
    private = forbidden and situation.mode.to_teamspace
    reason = reason_of_stop(report.stop.code, private_gate=private)
    if reason is not None:
        runs.record_attempt(reason)


def receiver_for(
    workspace: Workspace,
    target: Target,
    client: HttpClient,
    *,
    situation: Situation,
    options: ReceiverOptions,
) -> DeliveryReceiver:
    """Return how *target* is talked to in this mode.

    Raises:
        CredentialError: see `token_source`.
    """
    source = token_source(workspace.settings, situation)
    if situation.mode.to_teamspace:
        membership = Membership(
            team_slug=target.team_slug,
            sync_enabled=sync_enabled(workspace.settings),
            closed_login=target.closed_login,
        )
        return TeamspaceReceiver(
            target.url, client, credentials=source, membership=membership, options=options
        )
    # The target's own URL is its identity: an endpoint's last slash is not part of that.
    endpoint = situation.target.resolved_server_url or target.url
    return ExternalReceiver(endpoint, client, credentials=source, options=options)


def token_source(settings: Settings, situation: Situation) -> CredentialSource:
    """Return the token that the operator keeps in the environment, else the login's.

    Raises:
        CredentialError: `token_env` names a variable that is not set.
    """
    name = situation.target.token_variable
    if name is None:
        # What is delivered is written down as this user's, so nobody else's token may carry it.
        return situation.auth.bound(*situation.target.login)
    token = settings.env(name)
    if token is None:
        raise CredentialError(
            f"config.toml says that {name} holds the token, but it is not set",
            remedy=f"Run `export {name}=…`, then the same command again; or "
            f"{situation.by_login} and log in.",
        )
    return StaticToken(token)
