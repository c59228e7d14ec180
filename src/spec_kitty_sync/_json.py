"""Strict JSON in, canonical content out (CONTRACT 6).

Two readers: `loads_strict` takes what a receiver in any language reads the same way;
`loads_lenient` takes what released CLIs managed to store, so that a held event can be named.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import cache
from math import isfinite, isinf
from typing import Any

from spec_kitty_sync._json_walk import (
    INT64_MAX,
    INT64_MIN,
    SURROGATE,
    CanonicalWalk,
    StrictWalk,
    TopLevelWalk,
    json_error,
    walk,
)
from spec_kitty_sync.errors import JsonError

MAX_DEPTH = 64
BOM = b"\xef\xbb\xbf"

_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')


def loads_strict(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value of *data*, which every JSON reader understands the same way.

    Raises:
        JsonError: `facts["reason"]` is one of json_encoding, json_bom, json_syntax, json_number
            (NaN, Infinity, 1e999), json_duplicate_key, json_surrogate, json_depth,
            json_integer_range; `facts["offset"]` (characters) or `facts["pointer"]` says where.
    """
    try:
        value = _from_json()(data, allow_inf_nan=False)
    except ValueError:
        raise explain(data, max_depth=max_depth) from None
    if not _plain(data, value, max_depth):
        _check_slowly(data, max_depth)
    return value


def loads_lenient(data: bytes) -> Any:
    """Return the value of *data*, NaN, repeated keys (last wins) and lone surrogates included.

    Raises:
        JsonError: not UTF-8, not JSON at all, or nested too deeply for any reader.
    """
    text = _decode(data)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise json_error("json_syntax", error.msg, offset=error.pos) from None
    except RecursionError:
        raise json_error("json_depth", "nested too deeply to be read") from None
    except ValueError:
        raise json_error("json_integer_range", "an integer has thousands of digits") from None


def top_level(data: bytes) -> Any:
    """Return the outermost value of *data* with nested ones emptied: for depths no reader takes.

    Raises:
        JsonError: *data* is not JSON even leniently read.
    """
    return walk(_decode(data), TopLevelWalk()).value


def explain(data: bytes, *, max_depth: int = MAX_DEPTH) -> JsonError:
    """Return the first rule of strict JSON that *data* breaks, as the error to raise."""
    try:
        _check_slowly(data, max_depth)
    except JsonError as error:
        return error
    return json_error("json_syntax", "not JSON")


def dumps(value: Any) -> bytes:
    """Return *value* as compact UTF-8 JSON, key order kept.

    Raises:
        JsonError: something in it has no strict JSON form; `facts["pointer"]` says where.
    """
    _check_encodable(value)
    return _ENCODE(value).encode()


def dumps_indented(value: Any) -> bytes:
    """Return *value* as indented UTF-8 JSON with a newline at the end, for files people read."""
    _check_encodable(value)
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def canonical(data: bytes) -> bytes:
    """Return the canonical content of *data*: two bodies say the same iff these are equal.

    Keys sorted by code point, no spaces, minimal escapes, numbers in their literal text; a repeated
    key keeps every value. No Unicode normalisation.

    Raises:
        JsonError: *data* is not JSON even leniently read.
    """
    text = _decode(data)
    content = _canonical_quickly(text)
    if content is None:
        content = walk(text, CanonicalWalk()).content()
    # A lone surrogate becomes \\udxxx again; nothing else reads so, because a backslash in a
    # string is written twice.
    return content.encode("utf-8", "backslashreplace")


def canonical_hash(body: bytes) -> bytes:
    """Return the SHA-256 (32 bytes) of the canonical content of *body*."""
    return hashlib.sha256(canonical(body)).digest()


@cache
def _from_json() -> Callable[..., Any]:
    # Imported at first use: commands that read no event start 25 ms sooner.
    from pydantic_core import from_json

    return from_json


def _plain(data: bytes, value: Any, max_depth: int) -> bool:
    """Return True when cheap sufficient conditions show that *data* is strict.

    Every key is followed by `":"` unless spaces come between; so as many of those as the parsed
    value has keys proves that no key was repeated. False means "look closely", not "wrong".
    """
    if data.count(b"{") + data.count(b"[") > max_depth:
        return False
    spaced = b" :" in data or b"\n" in data or b"\t" in data or b"\r" in data
    if spaced and _SPACED_COLON.search(data):
        return False
    return data.count(b'":') == _count_keys(value)


def _count_keys(value: Any) -> int:
    """Return how many object keys *value* holds, or -1 when a number is out of range."""
    kind = type(value)
    if kind is dict:
        total = len(value)
        items = value.values()
    elif kind is list:
        total = 0
        items = value
    else:
        if kind is int:
            return 0 if INT64_MIN <= value <= INT64_MAX else -1
        return -1 if kind is float and isinf(value) else 0
    for item in items:
        kind = type(item)
        if kind is str or item is None:
            continue
        inner = _count_keys(item)
        if inner < 0:
            return -1
        total += inner
    return total


def _check_slowly(data: bytes, max_depth: int) -> None:
    """Raise the first broken rule of strict JSON, or return."""
    if data.startswith(BOM):
        raise json_error("json_bom", "starts with a byte order mark", offset=0)
    text = _decode(data)
    walk(text, StrictWalk(max_depth))


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        message = f"not UTF-8: byte 0x{data[error.start]:02x} at {error.start}"
        raise json_error("json_encoding", message, offset=error.start) from None


def _check_encodable(value: Any) -> None:
    """Raise when *value* has no strict JSON form; an explicit stack, so depth is no danger."""
    stack: list[tuple[Any, str, int]] = [(value, "", 0)]
    while stack:
        item, pointer, depth = stack.pop()
        if depth >= MAX_DEPTH and isinstance(item, dict | list | tuple):
            raise json_error("json_depth", f"nested deeper than {MAX_DEPTH}", pointer=pointer[:200])
        if isinstance(item, dict):
            for key, inner in item.items():
                if type(key) is not str:
                    message = f"key {key!r} is not a string"
                    raise json_error("json_syntax", message, pointer=pointer)
                _check_scalar(key, pointer)
                step = key.replace("~", "~0").replace("/", "~1")
                stack.append((inner, f"{pointer}/{step}", depth + 1))
        elif isinstance(item, list | tuple):
            stack.extend((inner, f"{pointer}/{i}", depth + 1) for i, inner in enumerate(item))
        else:
            _check_scalar(item, pointer)


def _check_scalar(item: Any, pointer: str) -> None:
    match item:
        case None | bool():
            return
        case str():
            if SURROGATE.search(item):
                raise json_error("json_surrogate", "half a surrogate pair", pointer=pointer)
        case int():
            if not INT64_MIN <= item <= INT64_MAX:
                raise json_error("json_integer_range", "does not fit in 64 bits", pointer=pointer)
        case float():
            if not isfinite(item):
                raise json_error("json_number", f"{item} is not a JSON number", pointer=pointer)
        case _:
            name = type(item).__name__
            raise json_error("json_syntax", f"a {name} has no JSON form", pointer=pointer)


class _NotQuick(ValueError):
    """The quick way would lose something."""


def _literal_int(literal: str) -> int:
    if literal == "-0":
        raise _NotQuick
    return int(literal)


def _literal_float(literal: str) -> float:
    value = float(literal)
    if repr(value) != literal:
        raise _NotQuick
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotQuick
    return members


def _no_constant(_: str) -> Any:
    raise _NotQuick


_QUICK_DECODE = json.JSONDecoder(
    parse_int=_literal_int,
    parse_float=_literal_float,
    parse_constant=_no_constant,
    object_pairs_hook=_unique,
).decode
_QUICK_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def _canonical_quickly(text: str) -> str | None:
    """Return canonical text through the C parser and encoder, or None where they would lie."""
    try:
        return _QUICK_ENCODE(_QUICK_DECODE(text))
    except (ValueError, RecursionError):
        return None
