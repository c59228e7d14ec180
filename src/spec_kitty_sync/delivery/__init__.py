"""Who has been told: targets, ledger, receivers and the drain (CONTRACT 6).

Names load their module on first use, so that `--help` and capture stay light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spec_kitty_sync.delivery.config import EventSyncConfig as EventSyncConfig
    from spec_kitty_sync.delivery.dispatcher import Dispatcher as Dispatcher
    from spec_kitty_sync.delivery.dispatcher import DrainOptions as DrainOptions
    from spec_kitty_sync.delivery.ledger import SqliteLedger as SqliteLedger
    from spec_kitty_sync.delivery.receivers import DeliveryReceiver as DeliveryReceiver
    from spec_kitty_sync.delivery.receivers import ExternalReceiver as ExternalReceiver
    from spec_kitty_sync.delivery.receivers import StubReceiver as StubReceiver
    from spec_kitty_sync.delivery.receivers import TeamspaceReceiver as TeamspaceReceiver
    from spec_kitty_sync.delivery.report import DrainReport as DrainReport
    from spec_kitty_sync.delivery.states import DeliveryState as DeliveryState
    from spec_kitty_sync.delivery.targets import Target as Target
    from spec_kitty_sync.delivery.targets import TargetRegistry as TargetRegistry
    from spec_kitty_sync.events.results import BatchResult as BatchResult
    from spec_kitty_sync.events.results import Outcome as Outcome

_HERE = "spec_kitty_sync.delivery"
_HOMES = {
    "BatchResult": "spec_kitty_sync.events.results",
    "DeliveryReceiver": f"{_HERE}.receivers",
    "DeliveryState": f"{_HERE}.states",
    "Dispatcher": f"{_HERE}.dispatcher",
    "DrainOptions": f"{_HERE}.dispatcher",
    "DrainReport": f"{_HERE}.report",
    "EventSyncConfig": f"{_HERE}.config",
    "ExternalReceiver": f"{_HERE}.receivers",
    "Outcome": "spec_kitty_sync.events.results",
    "SqliteLedger": f"{_HERE}.ledger",
    "StubReceiver": f"{_HERE}.receivers",
    "Target": f"{_HERE}.targets",
    "TargetRegistry": f"{_HERE}.targets",
    "TeamspaceReceiver": f"{_HERE}.receivers",
}

__all__ = [
    "BatchResult",
    "DeliveryReceiver",
    "DeliveryState",
    "Dispatcher",
    "DrainOptions",
    "DrainReport",
    "EventSyncConfig",
    "ExternalReceiver",
    "Outcome",
    "SqliteLedger",
    "StubReceiver",
    "Target",
    "TargetRegistry",
    "TeamspaceReceiver",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"{__name__} has no {name!r}")
    return getattr(import_module(_HOMES[name]), name)
