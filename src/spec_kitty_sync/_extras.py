"""The optional packages: which extra brings them, and what whoever lacks one is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from spec_kitty_sync.errors import MissingExtraError

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "conformance": ("pytest", "hypothesis", "pytest_httpserver"),
        "receiver": ("starlette", "uvicorn", "websockets", "prometheus_client"),
        "postgres": ("psycopg", "psycopg_pool"),
        "websocket": ("websockets",),
    }
)
"""The extras of pyproject.toml and the modules that each of them brings."""


def require(*extras: str) -> None:
    """Do nothing if every package of *extras* is installed; nothing is imported.

    Raises:
        MissingExtraError: at least one is not; the remedy installs all of *extras*.
    """
    absent = [name for each in extras for name in EXTRAS[each] if find_spec(name) is None]
    if absent:
        raise MissingExtraError(absent[0], ",".join(extras))


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import packages of the extra *name* in the block; a missing one becomes our error."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise MissingExtraError(exc.name or "", name) from exc


def explain(exc: ModuleNotFoundError) -> MissingExtraError | None:
    """Return what to tell the user where *exc* misses a package of an extra, else None."""
    absent = (exc.name or "").partition(".")[0]
    for name, packages in EXTRAS.items():
        if absent in packages:
            return MissingExtraError(absent, name)
    return None
