"""Strict JSON is what every reader understands the same way; canonical content is identity."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_kitty_sync._json import (
    canonical,
    canonical_hash,
    dumps,
    loads_lenient,
    loads_strict,
)
from spec_kitty_sync._json_walk import CanonicalWalk, StrictWalk, walk
from spec_kitty_sync.errors import JsonError

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("data", "reason", "place"),
    [
        (b"", "json_syntax", ""),
        (b"{", "json_syntax", None),
        (b"[1,]", "json_syntax", "/1"),
        (b"[1 2]", "json_syntax", "/0"),
        (b"{'a':1}", "json_syntax", None),
        (b"[01]", "json_syntax", None),
        (b"[1.]", "json_syntax", None),
        (b"[+1]", "json_syntax", None),
        (b"nul", "json_syntax", None),
        (b'{"a"}', "json_syntax", "/a"),
        (b'["\x01"]', "json_syntax", None),
        (b'["\\x"]', "json_syntax", None),
        (b"{}{}", "json_syntax", ""),
        (b"[}", "json_syntax", "/0"),
        (b"[NaN]", "json_number", "/0"),
        (b"[1e999]", "json_number", "/0"),
        (b'{"a":-1E+400}', "json_number", "/a"),
        (b'{"a":[-Infinity]}', "json_number", "/a/0"),
        (b'{"a":1,"a":2}', "json_duplicate_key", "/a"),
        (b'{"a":1,"\\u0061":2}', "json_duplicate_key", "/a"),
        (b'{"a" :1,"a":2}', "json_duplicate_key", "/a"),
        (b'{"a"\n:1,"b":{"c":1,"c"\t:2}}', "json_duplicate_key", "/b/c"),
        (b'{"b":{"c":1,"c"\r:2}}', "json_duplicate_key", "/b/c"),
        (b'{"x/y~z":NaN}', "json_number", "/x~1y~0z"),
        (b'["\\ud800"]', "json_surrogate", "/0"),
        (b'{"\\udfff":1}', "json_surrogate", "/\\udfff"),
        (b"[9223372036854775808]", "json_integer_range", "/0"),
        (b"[-9223372036854775809]", "json_integer_range", "/0"),
        (b"[" + b"9" * 5000 + b"]", "json_integer_range", "/0"),
        (b'["\xff"]', "json_encoding", None),
        (b'["\xed\xa0\x80"]', "json_encoding", None),
        (b"\xef\xbb\xbf{}", "json_bom", None),
        (b"[" * 65 + b"]" * 65, "json_depth", None),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "json_depth", None),
    ],
)
def test_loads_strict_refuses_with_reason_and_place(
    data: bytes, reason: str, place: str | None
) -> None:
    """What readers may take differently is refused with the rule and the place."""
    with pytest.raises(JsonError) as caught:
        loads_strict(data)
    assert caught.value.facts["reason"] == reason
    if place is not None:
        assert caught.value.facts["pointer"] == place


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b" {} \n", {}),
        (b'{"a":{"a":1},"b":[{"a":2}]}', {"a": {"a": 1}, "b": [{"a": 2}]}),
        (b'{"a\\":":1}', {'a":': 1}),
        (b"[9223372036854775807,-9223372036854775808]", [2**63 - 1, -(2**63)]),
        (b'{"a" :[9223372036854775807,-9223372036854775808]}', {"a": [2**63 - 1, -(2**63)]}),
        (b'["\\ud83d\\ude00\\u0000"]', ["\U0001f600\x00"]),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
        (b"[1e2,-0.5,1E-2]", [100.0, -0.5, 0.01]),
        (b"[1.7e308,1e-999]", [1.7e308, 0.0]),
    ],
)
def test_loads_strict_takes_what_is_strict(data: bytes, value: Any) -> None:
    """Spacing, escapes and the limits themselves are no fault."""
    assert loads_strict(data) == value


@settings(max_examples=100, deadline=None)
@given(value=values, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_strict_and_lenient_read_what_any_writer_wrote(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    """Any value survives writing by another encoder and reading by either of ours."""
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert loads_strict(data) == value
    assert loads_lenient(data) == value
    walk(data.decode(), StrictWalk(64))


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.sampled_from('{}[]:,"\\ae01-.N\n \ud800'), max_size=12))
def test_cheap_and_exact_reading_agree_on_any_text(text: str) -> None:
    """The fast reader refuses exactly what the token walk refuses."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        walk(data.decode(), StrictWalk(64))
        strict = True
    except (JsonError, UnicodeDecodeError):
        strict = False
    try:
        loads_strict(data)
        fast = True
    except JsonError:
        fast = False
    assert fast == strict


@settings(max_examples=100, deadline=None)
@given(value=values, indent=st.sampled_from([None, 2]))
def test_canonical_content_does_not_depend_on_how_it_was_written(
    value: Any, indent: int | None
) -> None:
    """Spacing, escapes and key order leave the canonical content alone."""
    one = json.dumps(value, indent=indent).encode()
    other = json.dumps(_reversed(value), ensure_ascii=False, separators=(",", ":")).encode()
    assert canonical(one) == canonical(other)
    assert canonical(canonical(one)) == canonical(one)
    assert canonical_hash(one) == hashlib.sha256(canonical(one)).digest()


@settings(max_examples=100, deadline=None)
@given(value=values)
def test_both_ways_to_canonical_content_agree(value: Any) -> None:
    """The quick way and the token walk give the same text."""
    text = json.dumps(value)
    assert canonical(text.encode()) == walk(text, CanonicalWalk()).content().encode()


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("written", "content"),
    [
        (b'{"b":1,"a":2}', b'{"a":2,"b":1}'),
        (b"[1.0,1,1e0,100e-2]", b"[1.0,1,1e0,100e-2]"),
        (b"[-0]", b"[-0]"),
        (b"[-0.0]", b"[-0.0]"),
        (b"[0.10]", b"[0.10]"),
        (b"[1E5]", b"[1E5]"),
        (b"[123456789012345678901234567890]", b"[123456789012345678901234567890]"),
        (rb'["\u00e9\/\u001f\u007f\n"]', '["é/\\u001f\x7f\\n"]'.encode()),
        (rb'["\ud83d\ude00"]', '["\U0001f600"]'.encode()),
        (rb'["\uD800"]', rb'["\ud800"]'),
        (b'{"a":NaN}', b'{"a":NaN}'),
        (b'{"b":0,"a":1,"a":2}', b'{"a":1,"a":2,"b":0}'),
        ('{"\ue000":1,"\U0001f600":2}'.encode(), '{"\ue000":1,"\U0001f600":2}'.encode()),
        ('["é"]'.encode(), '["é"]'.encode()),
        (b" [true, false ,null] ", b"[true,false,null]"),
    ],
)
def test_canonical_content_keeps_what_distinguishes(written: bytes, content: bytes) -> None:
    """Numbers keep their literal text, keys sort by code point, escapes are minimal."""
    assert canonical(written) == content


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"[1]", b"[1.0]"),
        (b"[1]", b"[true]"),
        (b'{"a":null}', b"{}"),
        (b'{"a":1,"a":2}', b'{"a":2,"a":1}'),
        (b'{"a":1,"a":1}', b'{"a":1}'),
        (b'["\xc3\xa9"]', b'["e\xcc\x81"]'),
    ],
)
def test_different_content_has_different_identity(one: bytes, other: bytes) -> None:
    """1, 1.0 and true differ; null is not absence; Unicode is not normalised."""
    assert canonical_hash(one) != canonical_hash(other)


def test_canonical_content_of_any_depth() -> None:
    """Content nested beyond every parser's limit still has an identity."""
    deep = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
    assert canonical(deep) == deep


@pytest.mark.parametrize(
    ("value", "reason", "place"),
    [
        ({"a": float("nan")}, "json_number", "/a"),
        ({"a": float("inf")}, "json_number", "/a"),
        ({"a": ["\ud800"]}, "json_surrogate", "/a/0"),
        ({"a": 2**63}, "json_integer_range", "/a"),
        ({"a": {1: 2}}, "json_syntax", "/a"),
        ({"a": object()}, "json_syntax", "/a"),
        ({"a": b"bytes"}, "json_syntax", "/a"),
    ],
)
def test_dumps_refuses_what_json_cannot_say(value: Any, reason: str, place: str) -> None:
    """A value without a strict JSON form is refused with its place."""
    with pytest.raises(JsonError) as caught:
        dumps(value)
    assert (caught.value.facts["reason"], caught.value.facts["pointer"]) == (reason, place)


@pytest.mark.parametrize("innermost", [[], {}, (), [1], {"a": None}])
def test_dumps_takes_exactly_the_depth_that_loads_strict_takes(innermost: Any) -> None:
    """Whatever is written can be read back: 64 levels pass, 65 do not, empty or not."""
    value = innermost
    for _ in range(63):
        value = [value]
    loads_strict(dumps(value))
    with pytest.raises(JsonError) as caught:
        dumps([value])
    assert caught.value.facts["reason"] == "json_depth"


def test_dumps_keeps_key_order_and_is_compact() -> None:
    """Compact, in key order, in UTF-8."""
    assert dumps({"b": "é", "a": [1, None]}) == '{"b":"é","a":[1,null]}'.encode()
