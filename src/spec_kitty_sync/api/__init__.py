"""What the commands do, for Python users: one function each, frozen results, no printing.

Whatever is heavy is loaded by the function that needs it, the modules here by their first use.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spec_kitty_sync.api.delivering import (
        DeliveryResult,
        Progress,
        choose_server,
        configured_server,
        confirm_target,
        deliver,
        discard,
        for_target,
        preview,
        replace,
        retry,
        set_target_active,
        show_target,
        target,
        targets,
    )
    from spec_kitty_sync.api.keeping import (
        archive,
        back_up,
        export,
        gc,
        restore,
        verify,
    )
    from spec_kitty_sync.api.looking import (
        diagnose,
        doctor,
        list_events,
        log,
        show,
        status,
        stored_lines,
    )
    from spec_kitty_sync.api.producing import (
        choose_mode,
        emit,
        emit_fields,
        login,
        login_state,
        logout,
        mode,
        watch,
    )

_HOMES = MappingProxyType(
    {
        "DeliveryResult": "delivering",
        "Progress": "delivering",
        "archive": "keeping",
        "back_up": "keeping",
        "choose_mode": "producing",
        "choose_server": "delivering",
        "configured_server": "delivering",
        "confirm_target": "delivering",
        "deliver": "delivering",
        "diagnose": "looking",
        "discard": "delivering",
        "doctor": "looking",
        "emit": "producing",
        "emit_fields": "producing",
        "export": "keeping",
        "for_target": "delivering",
        "gc": "keeping",
        "list_events": "looking",
        "stored_lines": "looking",
        "log": "looking",
        "login": "producing",
        "login_state": "producing",
        "logout": "producing",
        "mode": "producing",
        "preview": "delivering",
        "replace": "delivering",
        "restore": "keeping",
        "retry": "delivering",
        "set_target_active": "delivering",
        "show": "looking",
        "show_target": "delivering",
        "status": "looking",
        "target": "delivering",
        "targets": "delivering",
        "verify": "keeping",
        "watch": "producing",
    }
)


def __getattr__(name: str) -> Any:
    """Load the module that has *name*, at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "DeliveryResult",
    "Progress",
    "archive",
    "back_up",
    "choose_mode",
    "choose_server",
    "configured_server",
    "confirm_target",
    "deliver",
    "diagnose",
    "discard",
    "doctor",
    "emit",
    "emit_fields",
    "export",
    "for_target",
    "gc",
    "list_events",
    "log",
    "login",
    "login_state",
    "logout",
    "mode",
    "preview",
    "replace",
    "restore",
    "retry",
    "set_target_active",
    "show",
    "show_target",
    "status",
    "stored_lines",
    "target",
    "targets",
    "verify",
    "watch",
]
