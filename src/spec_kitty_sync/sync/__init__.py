"""The wiring: emit, deliver in the background, say how things stand (CONTRACT 6 and 7).

Names load their module on first use, so that `--help` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spec_kitty_sync.sync.background import BackgroundSyncService as BackgroundSyncService
    from spec_kitty_sync.sync.config import Settings as Settings
    from spec_kitty_sync.sync.config import SyncConfig as SyncConfig
    from spec_kitty_sync.sync.emitter import EventEmitter as EventEmitter
    from spec_kitty_sync.sync.emitting import open_emitter as open_emitter
    from spec_kitty_sync.sync.runtime import SyncRuntime as SyncRuntime
    from spec_kitty_sync.sync.runtime import auto_start_enabled as auto_start_enabled
    from spec_kitty_sync.sync.runtime import get_emitter as get_emitter
    from spec_kitty_sync.sync.runtime import get_sync_service as get_sync_service
    from spec_kitty_sync.sync.runtime import is_authenticated as is_authenticated
    from spec_kitty_sync.sync.runtime import reset_runtime as reset_runtime
    from spec_kitty_sync.sync.target_authority import OverrideMode as OverrideMode
    from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget as ResolvedSyncTarget
    from spec_kitty_sync.sync.target_authority import build_queue_scope as build_queue_scope
    from spec_kitty_sync.sync.target_authority import resolve_target as resolve_target
    from spec_kitty_sync.sync.target_authority import scope_db_path as scope_db_path
    from spec_kitty_sync.sync.websocket import WebSocketClient as WebSocketClient

_HERE = "spec_kitty_sync.sync"
_HOMES = {
    "BackgroundSyncService": f"{_HERE}.background",
    "EventEmitter": f"{_HERE}.emitter",
    "OverrideMode": f"{_HERE}.target_authority",
    "ResolvedSyncTarget": f"{_HERE}.target_authority",
    "Settings": f"{_HERE}.config",
    "SyncConfig": f"{_HERE}.config",
    "SyncRuntime": f"{_HERE}.runtime",
    "WebSocketClient": f"{_HERE}.websocket",
    "auto_start_enabled": f"{_HERE}.runtime",
    "build_queue_scope": f"{_HERE}.target_authority",
    "get_emitter": f"{_HERE}.runtime",
    "get_sync_service": f"{_HERE}.runtime",
    "is_authenticated": f"{_HERE}.runtime",
    "open_emitter": f"{_HERE}.emitting",
    "reset_runtime": f"{_HERE}.runtime",
    "resolve_target": f"{_HERE}.target_authority",
    "scope_db_path": f"{_HERE}.target_authority",
}

__all__ = [
    "BackgroundSyncService",
    "EventEmitter",
    "OverrideMode",
    "ResolvedSyncTarget",
    "Settings",
    "SyncConfig",
    "SyncRuntime",
    "WebSocketClient",
    "auto_start_enabled",
    "build_queue_scope",
    "get_emitter",
    "get_sync_service",
    "is_authenticated",
    "open_emitter",
    "reset_runtime",
    "resolve_target",
    "scope_db_path",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
