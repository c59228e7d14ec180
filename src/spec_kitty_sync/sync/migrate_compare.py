"""How two contents of one id differ. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Facts of the moment of capture: they say nothing about what happened.
VOLATILE_FIELDS = frozenset(
    {
        "timestamp",
        "build_id",
        "drain_blocked_reason",
        "git_branch",
        "head_commit_sha",
        "repo_slug",
    }
)
_MISSING = object()


@dataclass(frozen=True)
class Difference:
    """One place where two events differ; a side without the key is None and `absent`."""

    pointer: str
    journal: str | None
    source: str | None


def classify(journal: bytes | None, source: bytes) -> str:
    """Return `volatile` if only fields differ that change by the moment, else `divergent`.

    A key that is null on one side and absent on the other is such a field too: the two mean
    the same to every reader, though their content differs.
    """
    if journal is None:
        return "divergent"
    found = tuple(differences(journal, source))
    return "volatile" if found and all(_is_volatile(item) for item in found) else "divergent"


def _is_volatile(item: Difference) -> bool:
    top = item.pointer.count("/") == 1
    if top and item.pointer[1:] in VOLATILE_FIELDS:
        return True
    return top and {item.journal, item.source} == {None, "null"}


def differences(journal: bytes, source: bytes) -> Iterator[Difference]:
    """Yield every place where the two bodies differ, by JSON pointer; values as JSON text."""
    try:
        left, right = _load(journal), _load(source)
    except (ValueError, RecursionError):
        yield Difference("", _shown_bytes(journal), _shown_bytes(source))
        return
    yield from _walk("", left, right)


def _load(body: bytes) -> Any:
    """Parse with numbers as their literal text, so that 1 and 1.0 differ."""
    return json.loads(body, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal)


class _Literal(str):
    """A number as it was written."""

    __slots__ = ()


def _walk(pointer: str, left: Any, right: Any) -> Iterator[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            step = key.replace("~", "~0").replace("/", "~1")
            yield from _walk(f"{pointer}/{step}", left.get(key, _MISSING), right.get(key, _MISSING))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _walk(f"{pointer}/{index}", one, other)
    elif _shown(left) != _shown(right):
        yield Difference(pointer, _shown(left), _shown(right))


def _shown(value: Any) -> str | None:
    if value is _MISSING:
        return None
    if isinstance(value, _Literal):
        return str.__str__(value)
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Return *value* with number literals marked, so that 1 and "1" stay different."""
    if isinstance(value, _Literal):
        return {"number": str.__str__(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _shown_bytes(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")
