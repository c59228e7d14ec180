"""Who writes, in which project, and in which order (CONTRACT 6, Identity).

Names load their module on first use, so that `--help` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spec_kitty_sync.identity.clock import LamportClock as LamportClock
    from spec_kitty_sync.identity.clock import StoredClock as StoredClock
    from spec_kitty_sync.identity.node import generate_node_id as generate_node_id
    from spec_kitty_sync.identity.project import ProjectIdentity as ProjectIdentity
    from spec_kitty_sync.identity.project import derive_slug_from_repo as derive_slug_from_repo
    from spec_kitty_sync.identity.project import ensure_identity as ensure_identity
    from spec_kitty_sync.identity.project import load_identity as load_identity

_HERE = "spec_kitty_sync.identity"
_HOMES = {
    "LamportClock": f"{_HERE}.clock",
    "ProjectIdentity": f"{_HERE}.project",
    "StoredClock": f"{_HERE}.clock",
    "derive_slug_from_repo": f"{_HERE}.project",
    "ensure_identity": f"{_HERE}.project",
    "generate_node_id": f"{_HERE}.node",
    "load_identity": f"{_HERE}.project",
}

__all__ = [
    "LamportClock",
    "ProjectIdentity",
    "StoredClock",
    "derive_slug_from_repo",
    "ensure_identity",
    "generate_node_id",
    "load_identity",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
