"""What `sync now` would do, without doing it."""

from __future__ import annotations

from dataclasses import dataclass

from spec_kitty_sync.delivery.redelivery import preview_redelivery
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.delivering import refuse_blocked
from spec_kitty_sync.sync.gates import look
from spec_kitty_sync.sync.standing import read_standing
from spec_kitty_sync.sync.workspace import read_workspace


@dataclass(frozen=True)
class DrainPreview:
    """How many events a drain would take up. `retries` are among `would_send`.

    `unsendable`, with redeliver: delivered events whose bytes gc or archive took.
    """

    endpoint: str
    redeliver: bool
    would_send: int
    retries: int
    held: dict[str, int]
    unsendable: int


def preview_drain(
    settings: Settings, *, limit: int | None = None, redeliver: bool = False
) -> DrainPreview:
    """Return what a drain would take up now. Writes nothing, asks no server.

    Raises:
        NoTargetError, AmbiguousTargetError, CredentialError, DeliveryBlockedError: it would be
            refused.
    """
    with read_workspace(settings) as workspace:
        if workspace is None:
            from spec_kitty_sync.sync.target_authority import resolve_target

            endpoint = resolve_target(settings).require()
            return DrainPreview(endpoint, redeliver, 0, 0, {}, 0)
        refuse_blocked(look(settings, clock=workspace.clock, registry=workspace.targets))
        standing = read_standing(workspace)
        endpoint = workspace.resolved.require()
        ledger = standing.ledger
        sendable, retries, unsendable = (
            ledger.undelivered,
            ledger.pending + ledger.rejected + ledger.transient,
            0,
        )
        if redeliver and standing.target is not None:
            preview = preview_redelivery(workspace.store, standing.target)
            sendable, retries, unsendable = preview.sendable, 0, preview.unsendable
        if limit is not None:
            sendable = min(sendable, limit)
        return DrainPreview(endpoint, redeliver, sendable, retries, standing.held, unsendable)
