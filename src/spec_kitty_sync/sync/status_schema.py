"""The JSON Schema of the status report, made from its types; additive from version 1.0 on."""

from __future__ import annotations

import dataclasses
import enum
from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from spec_kitty_sync.sync.status_report import SCHEMA_VERSION, StatusReport

FILE_NAME = "status.schema.json"
_BASE = "https://schemas.spec-kitty.invalid/1.0/"
_SCALARS: dict[object, dict[str, Any]] = {
    int: {"type": "integer"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    Path: {"type": "string"},
    timedelta: {"type": "number", "description": "seconds"},
}


def status_schema() -> dict[str, Any]:
    """Return the schema of `sync status --json`. Readers must allow fields they do not know."""
    body = _object(StatusReport)
    body["properties"]["schema_version"] = {
        "type": "string",
        "pattern": rf"^{SCHEMA_VERSION.split('.')[0]}\.[0-9]+$",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _BASE + FILE_NAME,
        "title": "StatusReport",
        **body,
    }


def _schema(kind: Any) -> dict[str, Any]:
    if kind in _SCALARS:
        return dict(_SCALARS[kind])
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        return {"anyOf": [_schema(each) for each in arguments]}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin is tuple:
        return _array(arguments)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    return _object(kind)


def _array(arguments: tuple[Any, ...]) -> dict[str, Any]:
    if arguments[-1] is Ellipsis:
        return {"type": "array", "items": _schema(arguments[0])}
    return {
        "type": "array",
        "prefixItems": [_schema(each) for each in arguments],
        "minItems": len(arguments),
        "maxItems": len(arguments),
    }


def _object(kind: Any) -> dict[str, Any]:
    names = (
        [field.name for field in dataclasses.fields(kind)]
        if dataclasses.is_dataclass(kind)
        else list(kind._fields)
    )
    hints = get_type_hints(kind)
    return {
        "type": "object",
        "description": (kind.__doc__ or "").split("\n\n")[0].replace("\n    ", " "),
        "properties": {name: _schema(hints[name]) for name in names},
        "required": names,
    }
