"""What the commands do, for Python users: one function each, frozen results, no printing.

Whatever is heavy is loaded by the function that needs it.
"""

from spec_kitty_sync.api.delivering import (
    DeliveryResult,
    Progress,
    choose_server,
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

__all__ = [
    "DeliveryResult",
    "Progress",
    "archive",
    "back_up",
    "choose_mode",
    "choose_server",
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
    "target",
    "targets",
    "verify",
    "watch",
]
