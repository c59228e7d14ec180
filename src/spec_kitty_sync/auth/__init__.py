"""Who delivers: the login of a home and its tokens (CONTRACT 5, Auth).

Names load their module on first use, so that `--help` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spec_kitty_sync.auth.client import AuthClient as AuthClient
    from spec_kitty_sync.auth.client import LoginState as LoginState
    from spec_kitty_sync.auth.credentials import Credentials as Credentials
    from spec_kitty_sync.auth.credentials import load_credentials as load_credentials

_HERE = "spec_kitty_sync.auth"
_HOMES = {
    "AuthClient": f"{_HERE}.client",
    "Credentials": f"{_HERE}.credentials",
    "LoginState": f"{_HERE}.client",
    "load_credentials": f"{_HERE}.credentials",
}

__all__ = [
    "AuthClient",
    "Credentials",
    "LoginState",
    "load_credentials",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
