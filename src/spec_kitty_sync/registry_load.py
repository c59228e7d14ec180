"""Loads event types that others add: from entry points and from folders of JSON Schemas.

The contract itself is pure; what is read from disk or from installed packages comes in here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from spec_kitty_sync.errors import ContractError
from spec_kitty_sync.events.registry import (
    CORE,
    CORE_AGGREGATES,
    FIELD,
    EventType,
    PayloadCheck,
    Problem,
    Registry,
    Shape,
    default_registry,
)

ENTRY_POINT_GROUP = "spec_kitty_sync.event_types"
_SETTINGS = "x-spec-kitty"
_FAMILIES = ("team_bound", "discardable", "local_only")


class RegistryLoadError(ContractError):
    """An extension cannot be loaded; the message names it."""

    code = "registry_extension"
    default_remedy = (
        "Correct or remove the named extension; docs/extending.md shows one that works."
    )


def load_registry(*, schema_dirs: Sequence[Path] = (), plugins: bool = True) -> Registry:
    """Return the built-in registry with what installed packages and *schema_dirs* add.

    Raises:
        RegistryLoadError: an extension is broken; nothing is skipped silently.
    """
    registry = default_registry()
    if plugins:
        for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda each: each.name):
            registry = registry.with_types(_own_pack(_types_of(point)))
    for folder in schema_dirs:
        registry = registry.with_types(_own_pack(load_schema_dir(folder)))
    return registry


def load_schema_dir(folder: Path) -> list[EventType]:
    """Return one event type for each `<EventType>.schema.json` in *folder*, by name.

    The file is the schema of the payload. Its optional member `x-spec-kitty` sets `pack`,
    `aggregate_types`, `family` and `tier`.

    Raises:
        RegistryLoadError: the folder is missing or empty, or a file is no usable schema.
    """
    files = sorted(folder.glob("*.schema.json"))
    if not files:
        raise RegistryLoadError(f"no *.schema.json in {folder}", path=str(folder))
    return [_type_in(path) for path in files]


def _own_pack(types: Iterable[EventType]) -> Iterator[EventType]:
    """Yield *types*; what `--packs core` means is not theirs to change."""
    for each in types:
        if each.pack in (CORE, FIELD):
            raise RegistryLoadError(f"event type {each.name!r}: the pack {each.pack!r} is taken")
        if any(shape.pack != each.pack for shape in each.shapes):
            raise RegistryLoadError(
                f"event type {each.name!r}: a shape of it is not of the pack {each.pack!r}"
            )
        yield each


def _types_of(point: EntryPoint) -> Iterable[EventType]:
    """Return the event types that *point* gives: a list of them, or a function that returns one."""
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        raise RegistryLoadError(f"entry point {point.name!r}: {error}") from error
    types = loaded() if callable(loaded) else loaded
    if not isinstance(types, list | tuple) or not all(isinstance(t, EventType) for t in types):
        raise RegistryLoadError(f"entry point {point.name!r} gives no list of EventType")
    return types


def _type_in(path: Path) -> EventType:
    name = path.name.removesuffix(".schema.json")
    try:
        schema = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RegistryLoadError(f"{path.name}: {error}", path=str(path)) from error
    if not isinstance(schema, dict):
        raise RegistryLoadError(f"{path.name}: not a JSON object", path=str(path))
    settings = schema.get(_SETTINGS, {})
    _check_settings(path, settings)
    pack = settings.get("pack", "local")
    shape = Shape(name, pack=pack, check=_checker(path, schema), schema=schema)
    return EventType(
        name,
        pack=pack,
        aggregate_types=tuple(settings.get("aggregate_types", CORE_AGGREGATES)),
        shapes=(shape,),
        family=settings.get("family", "team_bound"),
        tier=settings.get("tier", 1),
    )


def _check_settings(path: Path, settings: Any) -> None:
    def refuse(what: str) -> RegistryLoadError:
        return RegistryLoadError(f"{path.name}: {_SETTINGS}{what}", path=str(path))

    if not isinstance(settings, dict):
        raise refuse(" is not an object")
    if unknown := set(settings) - {"pack", "aggregate_types", "family", "tier"}:
        raise refuse(f" has unknown members: {', '.join(sorted(unknown))}")
    if settings.get("family", "team_bound") not in _FAMILIES:
        raise refuse(f".family is none of {', '.join(_FAMILIES)}")
    tier = settings.get("tier", 1)
    if type(tier) is not int or not 0 <= tier <= 4:
        raise refuse(".tier is not 0-4")
    aggregates = settings.get("aggregate_types", ["Mission"])
    is_list = isinstance(aggregates, list) and aggregates
    if not is_list or not all(isinstance(each, str) and each for each in aggregates):
        raise refuse(".aggregate_types is no list of names")
    pack = settings.get("pack", "local")
    if not isinstance(pack, str) or not pack:
        raise refuse(".pack is no name")


def _checker(path: Path, schema: Mapping[str, Any]) -> PayloadCheck:
    """Return a function that yields each rule of *schema* that a payload breaks; compiled once."""
    import jsonschema  # only who extends the registry pays for it

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise RegistryLoadError(f"{path.name}: {error.message}", path=str(path)) from error
    _check_references(path, schema)

    @cache
    def compiled() -> Any:
        return jsonschema.Draft202012Validator(schema)

    def check(payload: Any) -> Iterator[Problem]:
        try:
            for error in compiled().iter_errors(payload):
                yield _problem(error)
        except RecursionError:
            yield (
                "schema_violation",
                (),
                "payload: its schema refers to itself without end",
                payload,
            )

    return check


def _check_references(path: Path, schema: Mapping[str, Any]) -> None:
    """Raise when *schema* refers to what is not there; nothing is ever fetched."""
    import jsonschema
    import referencing
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    def check(node: Any, resolver: Any) -> None:
        if isinstance(node, dict):
            resolver = resolver.in_subresource(DRAFT202012.create_resource(node))
            for reference in (node.get("$ref"), node.get("$dynamicRef")):
                if isinstance(reference, str):
                    follow(reference, resolver)
        for each in node.values() if isinstance(node, dict) else node:
            if isinstance(each, dict | list):
                check(each, resolver)

    def follow(reference: str, resolver: Any) -> None:
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            message = f"{path.name}: {reference} leads nowhere; a schema stands alone in its file"
            raise RegistryLoadError(message, path=str(path)) from error

    meta = DRAFT202012.create_resource(jsonschema.Draft202012Validator.META_SCHEMA)
    known: Any = referencing.Registry().with_resource(meta.id() or "", meta)
    check(schema, known.resolver_with_root(DRAFT202012.create_resource(schema)))


def _problem(error: Any) -> Problem:
    place = list(error.absolute_path)
    code = "schema_violation"
    if error.validator == "required":
        code = "missing"
        absent = (name for name in error.validator_value if name not in error.instance)
        place.append(next((n for n in absent if error.message.startswith(repr(n))), ""))
    elif error.validator == "type":
        code = "wrong_type"
    name = ".".join(map(str, place)) or "payload"
    return code, tuple(place), f"{name}: {error.message[:200]}", error.instance
