"""How to drive someone's producer or migration tool: commands, environment, what it can do."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.catalogue import catalogue_path, load_catalogue
from spec_kitty_sync.conformance.typed_toml import TomlError, TomlTable, read_toml

KINDS: Final = ("producer", "migration")
NEEDED: Final = {"producer": ("emit", "drain", "server"), "migration": ("migrate", "drain")}
GATED: Final = {
    "status": "status",
    "retry": "retry",
    "auth": "login",
    "bulk": "emit_many",
    "clock": "drain_later",
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

_UNGATED: Final = {"producer": ("status", "retry", "causation"), "migration": ("report",)}
"""Capabilities that no requirement depends on: they let checks see more."""
_NUMBERS: Final = {
    "producer": (
        "retained", "delivered", "undelivered", "pending", "rejected", "transient", "dead_letter",
        "terminal_failed", "held",
    ),
    "migration": ("imported", "duplicates", "conflicts", "quarantined"),
}  # fmt: skip
_EVERYWHERE: Final = ("python", "adapter", "url", "home", "project")
_FILLED: Final = {
    "commands.login": ("user",),
    "commands.emit": ("type", "aggregate_id"),
    "commands.drain_later": ("seconds",),
    "options.tier": ("tier",),
    "options.causation": ("causation_id",),
    "variants.other_server": ("other_url",),
}
"""Placeholders that have a value in one place only."""

_KEYS: Final = (
    "name", "kind", "commands", "options", "environment", "variants", "status", "capabilities",
    "copyable", "deadline_s", "lock_wait_s",
)  # fmt: skip
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
        if os.path.isfile(path):  # also of a name that is too long for a file
            return path.resolve()
    raise AdapterError(f"there is no adapter {text}: give a TOML file, or `spec-kitty`")


def load_adapter(path: Path, kind: str) -> Adapter:
    """Read the adapter at *path* and check that it can serve a *kind* suite.

    Raises:
        AdapterError: unreadable, incomplete, or for the other suite.
    """
    try:
        adapter = _read(read_toml(path, "adapter"), kind)
    except TomlError as exc:
        raise AdapterError(str(exc)) from exc
    wrong = next(_mistakes(adapter), None)
    if wrong is not None:
        raise AdapterError(f"{path}: {wrong}")
    return adapter


def _read(told: TomlTable, kind: str) -> Adapter:
    if told.text("kind") != kind:
        told.refuse("kind", f'this suite needs kind = "{kind}"')
    told.allow(_KEYS)
    variants = told.table("variants")
    return Adapter(
        name=told.text("name", told.path.stem),
        kind=kind,
        path=told.path,
        commands=_vectors(told.table("commands")),
        options=_vectors(told.table("options")),
        environment=told.texts("environment"),
        variants={name: variants.texts(name) for name in variants.values},
        status=told.texts("status"),
        capabilities=frozenset(told.words("capabilities")),
        copyable=told.switch("copyable"),
        deadline_s=told.seconds("deadline_s", 60.0),
        lock_wait_s=told.seconds("lock_wait_s", 30.0, or_none=True),
    )


def _mistakes(adapter: Adapter) -> Iterator[str]:
    """Yield what cannot work, whatever the tool does."""
    missing = [name for name in NEEDED[adapter.kind] if name not in adapter.commands]
    if missing:
        yield f"[commands] lacks {', '.join(missing)}"
    for capability, command in GATED.items():
        if capability in adapter.capabilities and command not in adapter.commands:
            yield f"capability {capability!r} needs the command {command!r}"
    rows = load_catalogue(catalogue_path(kind=adapter.kind)).requirements
    asked = {row.capability for row in rows} - {""}
    yield from _unknown("capability", adapter.capabilities, asked.union(_UNGATED[adapter.kind]))
    yield from _unknown("[status] number", adapter.status, _NUMBERS[adapter.kind])
    for place, texts in _places(adapter):
        known = {*_EVERYWHERE, *_FILLED.get(place, ())}
        used = [name for text in texts for name in _PLACEHOLDER.findall(text)]
        yield from _unknown(f"placeholder in {place}", map(_braced, used), map(_braced, known))
    search = adapter.environment.get("PATH", os.environ.get("PATH"))
    for name, parts in adapter.commands.items():
        program = parts[0] if parts else ""
        if _PLACEHOLDER.sub("", program) == program or program.startswith("{adapter}"):
            program = adapter.fill(program, {})
            beside = os.sep in program and not os.path.isabs(program)
            if beside or shutil.which(program, path=search) is None:
                hint = "; {adapter}/… is beside the adapter" if beside else ""
                yield f"commands.{name}: there is no program {program!r}{hint}"


def _places(adapter: Adapter) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield every text of *adapter* that may hold placeholders, with its place in the file."""
    for section in ("commands", "options"):
        for name, parts in getattr(adapter, section).items():
            yield f"{section}.{name}", parts
    yield "environment", adapter.environment.values()
    for name, table in adapter.variants.items():
        yield f"variants.{name}", table.values()


def _braced(name: str) -> str:
    return f"{{{name}}}"


def _unknown(what: str, given: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    names = sorted(known)
    for one in sorted(set(given) - set(names)):
        yield f"there is no {what} {one}; there are {', '.join(names)}"


def _vectors(table: TomlTable) -> dict[str, tuple[str, ...]]:
    return {name: table.words(name) for name in table.values}
