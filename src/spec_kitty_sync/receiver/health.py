"""`GET /api/v1/sync/health/` and what the receiver says it can do (CONTRACT 5, Health)."""

from __future__ import annotations

import contextlib
from typing import Any

from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.service import Receiver
from spec_kitty_sync.receiver.settings import Settings


async def health(receiver: Receiver) -> dict[str, Any]:
    """Return the health answer, also while the store is away; no side effect."""
    identity = receiver.identity
    with contextlib.suppress(StoreError):
        identity = await receiver.current_identity()
    settings = receiver.settings
    broken = {"faults": list(settings.faults)} if settings.faults else {}
    return {
        **broken,
        "status": "ok",
        "server_instance_id": identity.server_instance_id,
        "deployment_id": settings.deployment.deployment_id,
        "environment_name": settings.deployment.environment_name,
        "git_sha": settings.deployment.git_sha,
        "max_batch_events": settings.limits.max_batch_events,
        "max_event_bytes": settings.limits.max_event_bytes,
        "max_body_bytes": settings.limits.max_body_bytes,
        "capabilities": list(capabilities(settings)),
    }


def capabilities(settings: Settings) -> tuple[str, ...]:
    """Return the names of the optional behaviour that is switched on, sorted."""
    offered = {"read-back", "deploy-meta", "size-limit", "terminal", "websocket"}
    if settings.open_to_all:
        offered.add("anonymous")
    else:
        offered |= {"auth", "auth-expired"}
        if settings.accounts or any(user.principal.team for user in settings.users or ()):
            offered.add("team-scope")
    if settings.pending_s:
        offered.add("pending")
    if settings.protocols is not None:
        offered.add("protocol-gate")
    if settings.test_hooks:
        offered |= {"restart-hook", "reset-hook"}
    return tuple(sorted(offered))
