"""The one registry: event type → pack, aggregates, shapes, family, tier, coalesce key (CONTRACT 3).

Emitter, diagnose, schemas, fixtures, receiver and conformance read it; there is no other list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from spec_kitty_sync.errors import ContractError, UnknownEventTypeError

if TYPE_CHECKING:
    from pydantic import BaseModel

Family = Literal["team_bound", "discardable", "local_only"]
CORE, FIELD = "core", "field"
DEFAULT_TIER = 1
CORE_AGGREGATES: tuple[str, ...] = ("WorkPackage", "Feature", "Mission")

Problem = tuple[str, tuple[str | int, ...], str, Any]
"""A broken rule: finding code, place inside the payload, message, offending value."""
PayloadCheck = Callable[[Any], Iterable[Problem]]


def _states_any(payload: Mapping[str, Any], keys: Iterable[str]) -> bool:
    return any(payload.get(key) is not None for key in keys)


@dataclass(frozen=True, slots=True)
class Shape:
    """One form that the payload of an event type may take.

    Chosen when any key of `any_of` is present (and none of `none_of`); no `any_of` takes all.
    A shape is checked by its `model`, or by `check` where the type came from a JSON Schema.
    """

    name: str
    model: type[BaseModel] | None = None
    any_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()
    pack: str = CORE
    check: PayloadCheck | None = None
    schema: Mapping[str, Any] | None = None

    def takes(self, payload: Mapping[str, Any]) -> bool:
        """Return True when *payload* is of this shape; a null key counts as absent."""
        if not self.none_of.isdisjoint(payload) and _states_any(payload, self.none_of):
            return False
        if not self.any_of:
            return True
        return not self.any_of.isdisjoint(payload) and _states_any(payload, self.any_of)


@dataclass(frozen=True, slots=True)
class EventType:
    """What the contract knows of one event type.

    `aggregate_types` starts with the one our emitter writes; `shapes` are tried in order; `tier`
    is the data tier of an event that states none; `coalesce` are paths in the event (`a.b|c`: the
    first that is there) whose values together name the thing that a newer event replaces.
    """

    name: str
    pack: str = CORE
    aggregate_types: tuple[str, ...] = CORE_AGGREGATES
    shapes: tuple[Shape, ...] = ()
    family: Family = "team_bound"
    tier: int = DEFAULT_TIER
    coalesce: tuple[str, ...] = ()

    def shape_of(
        self, payload: Mapping[str, Any], *, packs: frozenset[str] | None = None
    ) -> Shape | None:
        """Return the first shape (of *packs*) that takes *payload*, or None."""
        for shape in self.shapes:
            if (packs is None or shape.pack in packs) and shape.takes(payload):
                return shape
        return None


@dataclass(frozen=True)
class Registry:
    """Event types by name; immutable, `with_types` gives a larger one."""

    types: Mapping[str, EventType] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", MappingProxyType(dict(self.types)))

    def __contains__(self, name: object) -> bool:
        return name in self.types

    def __iter__(self) -> Iterator[EventType]:
        return iter(self.types.values())

    def __len__(self) -> int:
        return len(self.types)

    def find(self, name: str) -> EventType | None:
        """Return the type called *name*, or None."""
        return self.types.get(name)

    def get(self, name: str) -> EventType:
        """Return the type called *name*.

        Raises:
            UnknownEventTypeError: nobody registered it.
        """
        found = self.types.get(name)
        if found is None:
            raise UnknownEventTypeError(f"event type {name!r} is not registered", event_type=name)
        return found

    def packs(self) -> frozenset[str]:
        """Return the names of all packs."""
        return frozenset(each.pack for each in self)

    def aggregates(self, packs: frozenset[str] | None = None) -> frozenset[str]:
        """Return every aggregate type that types of *packs* (default: all) may have."""
        chosen = [t.aggregate_types for t in self if packs is None or t.pack in packs]
        return frozenset(CORE_AGGREGATES).union(*chosen)

    def with_types(self, types: Iterable[EventType]) -> Registry:
        """Return a registry that also knows *types*.

        Raises:
            ContractError: a type is registered already.
        """
        merged = dict(self.types)
        for each in types:
            if each.name in merged:
                raise ContractError(
                    f"event type {each.name!r} is registered already",
                    remedy="Give the type another name; a registered type cannot be redefined.",
                )
            merged[each.name] = each
        return Registry(merged)


@cache
def default_registry() -> Registry:
    """Return the registry of the core and field packs."""
    from spec_kitty_sync.events.core_pack import CORE_TYPES
    from spec_kitty_sync.events.field_pack import FIELD_TYPES

    return Registry().with_types(CORE_TYPES).with_types(FIELD_TYPES)
