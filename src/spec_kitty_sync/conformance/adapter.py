"""How to drive someone's producer or migration tool: commands, environment, what it can do."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from spec_kitty_sync._files import shared_path

KINDS: Final = ("producer", "migration")
NEEDED: Final = {"producer": ("emit", "drain", "server"), "migration": ("migrate", "drain")}
GATED: Final = {
    "status": "status",
    "retry": "retry",
    "auth": "login",
    "bulk": "emit_many",
    "cleanup": "cleanup",
    "conflict-classes": "keep_volatile",
    "provenance": "sources",
}
"""Capabilities that need a command of their own."""
_SHOWN_BY: Final = {
    **{name: ("commands", command) for name, command in GATED.items()},
    "tiers": ("options", "tier"),
    "causation": ("options", "causation"),
    "disable": ("variants", "disabled"),
    "override": ("variants", "other_server"),
    "conflicts": ("commands", "keep_source"),
}
"""What in an adapter shows that the tool has a capability."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class AdapterError(Exception):
    """The adapter cannot be used; the text is one sentence with the remedy."""


@dataclass(frozen=True)
class Adapter:
    """One adapter file. `commands` and `options` are argument vectors with `{placeholders}`.

    `copyable`: a home may be copied to another path and still works, which saves set-up time.
    `lock_wait_s`: how long a migration waits for a source that is locked, at most.
    """

    name: str
    kind: str
    path: Path
    commands: Mapping[str, tuple[str, ...]]
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    copyable: bool = False
    deadline_s: float = 60.0
    lock_wait_s: float = 30.0

    def argv(self, command: str, extra: tuple[str, ...], values: Mapping[str, str]) -> list[str]:
        """Return the arguments of *command* and of the options *extra*, filled with *values*.

        Raises:
            AdapterError: the file lacks one of them, or uses a placeholder that has no value.
        """
        parts = list(self._named(self.commands, "commands", command))
        for name in extra:
            parts += self._named(self.options, "options", name)
        return [self.fill(part, values) for part in parts]

    @property
    def undeclared(self) -> tuple[str, ...]:
        """Capabilities that the adapter says how to use and does not declare."""
        return tuple(
            name
            for name, (section, entry) in _SHOWN_BY.items()
            if entry in getattr(self, section) and name not in self.capabilities
        )

    def fill(self, text: str, values: Mapping[str, str]) -> str:
        """Return *text* with every `{placeholder}` replaced."""
        known = {"python": sys.executable, "adapter": str(self.path.parent), **values}

        def value(match: re.Match[str]) -> str:
            if match[1] not in known:
                raise AdapterError(f"{self.path}: there is no placeholder {{{match[1]}}} here")
            return known[match[1]]

        return _PLACEHOLDER.sub(value, text)

    def _named(
        self, table: Mapping[str, tuple[str, ...]], section: str, name: str
    ) -> tuple[str, ...]:
        if name not in table:
            raise AdapterError(f"{self.path}: [{section}] lacks {name!r}")
        return table[name]


def find_adapter(text: str, kind: str) -> Path:
    """Return the file that *text* means: a path, or the name of a packaged adapter.

    Raises:
        AdapterError: neither is there.
    """
    for path in (Path(text), shared_path("conformance", kind) / f"{text}.toml"):
        if path.is_file():
            return path.resolve()
    raise AdapterError(f"there is no adapter {text}: give a TOML file, or `spec-kitty`")


def load_adapter(path: Path, kind: str) -> Adapter:
    """Read the adapter at *path* and check that it can serve a *kind* suite.

    Raises:
        AdapterError: unreadable, incomplete, or for the other suite.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise AdapterError(f"the adapter {path} cannot be read: {exc}") from exc
    if told.get("kind") != kind:
        raise AdapterError(f"{path}: kind is {told.get('kind')!r}, this suite needs {kind!r}")
    commands = _vectors(path, told, "commands")
    missing = [name for name in NEEDED[kind] if name not in commands]
    if missing:
        raise AdapterError(f"{path}: [commands] lacks {', '.join(missing)}")
    capabilities = frozenset(str(word) for word in told.get("capabilities", []))
    for capability, command in GATED.items():
        if capability in capabilities and command not in commands:
            raise AdapterError(f"{path}: capability {capability!r} needs the command {command!r}")
    return Adapter(
        name=str(told.get("name", path.stem)),
        kind=kind,
        path=path,
        commands=commands,
        options=_vectors(path, told, "options"),
        environment={key: str(value) for key, value in told.get("environment", {}).items()},
        variants={
            name: {key: str(value) for key, value in table.items()}
            for name, table in told.get("variants", {}).items()
        },
        status={key: str(value) for key, value in told.get("status", {}).items()},
        capabilities=capabilities,
        copyable=bool(told.get("copyable", False)),
        deadline_s=float(told.get("deadline_s", 60.0)),
        lock_wait_s=float(told.get("lock_wait_s", 30.0)),
    )


def _vectors(path: Path, told: Mapping[str, Any], section: str) -> dict[str, tuple[str, ...]]:
    table = told.get(section, {})
    for name, parts in table.items():
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise AdapterError(f"{path}: {section}.{name} is a list of texts, one per argument")
    return {name: tuple(parts) for name, parts in table.items()}
