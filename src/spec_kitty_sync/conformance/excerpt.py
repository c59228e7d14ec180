"""Bodies cut down to what a finding is about: the one event, and its unusual fields."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from spec_kitty_sync.conformance.builder import EXAMPLES

_SHORT_BODY: Final = 300
_FEW: Final = {"events": 2, "results": 7}
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


# Fields that say nothing as long as they look as every event of the kit does.
_ORDINARY: Final[dict[str, Callable[[Any], bool]]] = {
    "aggregate_id": lambda value: value in [one.aggregate_id for one in EXAMPLES],
    "aggregate_type": lambda value: value in [one.aggregate_type for one in EXAMPLES],
    "correlation_id": _matches(_ULID),
    "data_tier": lambda value: type(value) is int and value == 1,
    "lamport_clock": lambda value: type(value) is int and 0 < value < 1000,
    "node_id": _matches(re.compile(r"[0-9a-f]{12}")),
    "project_slug": _matches(re.compile(r"sk-conformance-[0-9a-f]{8}")),
    "project_uuid": _matches(_UUID4),
    "schema_version": lambda value: value == "1.0.0",
    "timestamp": _matches(_TIME),
}


def excerpt(text: str, key: str, about: str, heard: str = "") -> str:
    """Return what matters of a JSON *text*: in list *key*, the entries with the id *about*.

    Without *about*, or where nothing can be found, all entries stay; of a few others, id and the
    fields that the answer *heard* speaks of. Ordinary fields of events are counted, not shown,
    unless *heard* names them. Text that is not JSON comes back as it is, short text with more
    spaces.
    """
    if len(text) < _SHORT_BODY:
        return _spaced(text)
    try:
        body = json.loads(text)
        entries = body[key]
        others = {name: value for name, value in body.items() if name != key}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return text
    if not isinstance(entries, list):
        return text
    found = [one for one in entries if isinstance(one, dict) and one.get("event_id") == about]
    chosen = found or entries
    hidden = len(entries) - len(chosen)
    if hidden <= _FEW.get(key, 0):
        inside = [_plain(one, heard) if one in chosen else _hint(one, heard) for one in entries]
    else:
        inside = [f"… {hidden} others …"] + [_plain(one, heard) for one in chosen]
    head = "".join(f"{json.dumps(name)}: {json.dumps(value)}, " for name, value in others.items())
    return f'{{{head}"{key}": [{", ".join(inside)}]}}'


def _spaced(text: str) -> str:
    """Return compact JSON with room to break lines; other text hardly changes."""
    return text.replace('","', '", "').replace('":', '": ').replace("},{", "}, {")


def _hint(entry: Any, heard: str) -> str:
    """Return an entry that the finding is not about: its id, and what the answer speaks of."""
    if not isinstance(entry, dict) or "payload" not in entry:
        return json.dumps(entry, ensure_ascii=False)
    told = {
        name: value
        for name, value in entry.items()
        if name == "event_id" or (name in heard and name in _ORDINARY)
    }
    return f"{json.dumps(told, ensure_ascii=False)[:-1]}, …}}"


def _plain(entry: Any, heard: str) -> str:
    if not isinstance(entry, dict) or "payload" not in entry:
        return json.dumps(entry, ensure_ascii=False)
    unusual = {
        name: value
        for name, value in entry.items()
        if name in heard or name not in _ORDINARY or not _ORDINARY[name](value)
    }
    hidden = len(entry) - len(unusual)
    text = json.dumps(unusual, ensure_ascii=False)
    return f"{text[:-1]}, … {hidden} ordinary fields}}" if hidden else text
