"""Cases about bytes, not values: what a JSON parser would already have lost."""

from __future__ import annotations

import json
from typing import Any

_EVENT: dict[str, Any] = {
    "event_id": "01JQ0000000000000000000001",
    "event_type": "HistoryAdded",
    "aggregate_id": "WP01",
    "aggregate_type": "WorkPackage",
    "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": "x", "author": "user"},
    "timestamp": "2026-03-01T09:30:00Z",
    "node_id": "a1b2c3d4e5f6",
    "lamport_clock": 7,
    "project_uuid": "7d9c1f6e-3b52-4c88-9f0a-2f1b6f6f0c11",
    "correlation_id": "01JQ00000000000000000000C1",
}
_TEXT = json.dumps(_EVENT)
_DEEP = "[" * 70 + "]" * 70


def _with(member: str) -> bytes:
    """Return the event with one more member, as text."""
    return (_TEXT[:-1] + ", " + member + "}").encode()


def _bad(code: str, path: str = "", *, hold: str | None = None) -> dict[str, Any]:
    """Return what is expected: the finding, and what the journal does with such a row."""
    finding = {"code": code, "severity": "error", "path": path}
    return {"valid": False, "findings": [finding], "hold": hold, "admitted": hold is not None}


_GOOD = {"valid": True, "findings": [], "hold": None, "admitted": True}

RAW_CASES: tuple[tuple[str, bytes, dict[str, Any]], ...] = (
    ("nan", _with('"score": NaN'), _bad("json_number", "/score", hold="json_number")),
    ("infinity", _with('"score": -Infinity'), _bad("json_number", "/score", hold="json_number")),
    (
        "float-beyond-64-bits",
        _with('"score": 1e999'),
        _bad("json_number", "/score", hold="json_number"),
    ),
    (
        "duplicate-key",
        _with('"lamport_clock": 8'),
        _bad("json_duplicate_key", "/lamport_clock", hold="json_duplicate_key"),
    ),
    (
        "duplicate-key-escaped",
        _with('"lamport\\u005fclock": 8'),
        _bad("json_duplicate_key", "/lamport_clock", hold="json_duplicate_key"),
    ),
    (
        "duplicate-key-nested",
        _with('"more": [{"a": 1, "a" : 1}]'),
        _bad("json_duplicate_key", "/more/0/a", hold="json_duplicate_key"),
    ),
    (
        "half-surrogate",
        _with('"note": "\\ud83d"'),
        _bad("json_surrogate", "/note", hold="json_surrogate"),
    ),
    (
        "integer-beyond-64-bits",
        _with('"more": {"big": 9223372036854775808}'),
        _bad("json_integer_range", "/more/big", hold="json_integer_range"),
    ),
    (
        "depth-beyond-64",
        _with(f'"more": {_DEEP}'),
        _bad("json_depth", "/more" + "/0" * 63, hold="json_depth"),
    ),
    ("byte-order-mark", b"\xef\xbb\xbf" + _TEXT.encode(), _bad("json_bom") | {"admitted": True}),
    ("not-utf-8", _TEXT.encode().replace(b'"x"', b'"\xff"'), _bad("json_encoding")),
    ("truncated", _TEXT.encode()[:60], _bad("json_syntax")),
    ("trailing-comma", _TEXT.encode()[:-1] + b",}", _bad("json_syntax", "/correlation_id")),
    ("comment", b"/* one */ " + _TEXT.encode(), _bad("json_syntax")),
    ("list", b"[" + _TEXT.encode() + b"]", _bad("not_object")),
    ("null", b"null", _bad("not_object")),
    ("empty", b"", _bad("json_syntax")),
    (
        "larger-than-256-kib",
        _with('"cargo": "' + "x" * 262_144 + '"'),
        _bad("too_large", hold="too_large"),
    ),
    ("spaced-out", json.dumps(_EVENT, indent=3).encode(), _GOOD),
    ("unicode", _with('"note": "naïve 日本 \U0001f63a \\u0000 e\\u0301"'), _GOOD),
    ("depth-of-64", _with('"more": ' + "[" * 63 + "]" * 63), _GOOD),
    ("integer-of-64-bits", _with('"more": [9223372036854775807, -9223372036854775808]'), _GOOD),
    ("key-with-colon", _with('"a\\":b": {"c\\":": 1}'), _GOOD),
)
