"""One drain of a home: the resolved target, the receiver for its mode, the dispatcher."""

from __future__ import annotations

from collections.abc import Callable

from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.delivery.dispatcher import Dispatcher, DrainOptions, StopSignal
from spec_kitty_sync.delivery.receivers import (
    CredentialSource,
    DeliveryReceiver,
    ExternalReceiver,
    NoCredentials,
    ReceiverOptions,
    RetrySemantics,
    StaticToken,
)
from spec_kitty_sync.delivery.report import DrainReport
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.errors import CredentialError
from spec_kitty_sync.sync.config import Settings, SyncConfig
from spec_kitty_sync.sync.workspace import Workspace, open_workspace

_TOKEN = "SPEC_KITTY_TOKEN"


def drain_home(
    settings: Settings,
    *,
    limit: int | None = None,
    include_team: str | None = None,
    watch: Callable[[int, int], None] | None = None,
    stop: StopSignal | None = None,
) -> DrainReport:
    """Deliver what the resolved target of this home has not been told yet.

    Raises:
        NoTargetError, AmbiguousTargetError, CredentialError: refused before any network call.
        DrainLockedError: another process delivers to this target.
    """
    options = DrainOptions(limit=limit, include_team=include_team, progress=watch)
    if stop is not None:
        options = DrainOptions(limit=limit, include_team=include_team, progress=watch, stop=stop)
    with open_workspace(settings) as workspace:
        target = workspace.active_target()
        client = HttpClient(allow_http=workspace.config.allow_http)
        try:
            dispatcher = Dispatcher(
                workspace.store, workspace.journal, ledger=workspace.ledger, clock=workspace.clock
            )
            return dispatcher.drain(
                target,
                receiver_for(workspace, target, client),
                locks_dir=settings.home.locks_dir,
                options=options,
            )
        finally:
            client.close()


def receiver_for(workspace: Workspace, target: Target, client: HttpClient) -> DeliveryReceiver:
    """Return how *target* is talked to."""
    retry = RetrySemantics(max_rejections=workspace.config.max_retries)
    return ExternalReceiver(
        target.url,
        client,
        credentials=static_token(workspace.settings, workspace.config),
        options=ReceiverOptions(retry=retry, clock=workspace.clock),
    )


def static_token(settings: Settings, config: SyncConfig) -> CredentialSource:
    """Return the token that the operator keeps in the environment, or none at all.

    Raises:
        CredentialError: `[sync] token_env` names a variable that is not set.
    """
    if config.token_env is not None:
        token = settings.env(config.token_env)
        if token is None:
            raise CredentialError(
                f"config.toml says that {config.token_env} holds the token, but it is not set",
                remedy=f"Run `export {config.token_env}=…`, then the same command again.",
            )
        return StaticToken(token)
    token = settings.env(_TOKEN)
    return StaticToken(token) if token else NoCredentials()
