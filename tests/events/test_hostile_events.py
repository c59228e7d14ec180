"""Whatever bytes arrive, the gates answer and never fall over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from spec_kitty_sync._json import canonical_hash
from spec_kitty_sync.errors import AdmissionError, InvalidEventError, JsonError
from spec_kitty_sync.events import Event, Validator, admit, default_registry
from spec_kitty_sync.events.admission import HOLD_CODES

ROOT = Path(__file__).resolve().parents[2]
PARENTS = [path.read_bytes() for path in sorted((ROOT / "fixtures/events/valid").iterdir())]
HOSTILE = [
    b"\x00",
    b"\xff",
    b'"',
    b"\\ud800",
    b"NaN",
    b"{",
    b"]",
    b",",
    b'"event_id":',
    b"1e999",
    b"-0",
    b"9" * 400,
    b"9" * 5000,
    b"[" * 3000,
    b'{"a":' * 3000,
    b"\xe2\x80\xae",
    b"\x1b[2J",
]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """Return a valid event with bytes cut out, put in or doubled."""
    body = draw(st.sampled_from(PARENTS))
    for _ in range(draw(st.integers(1, 3))):
        at, until = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
        piece = draw(st.sampled_from(HOSTILE) | st.binary(max_size=4))
        match draw(st.integers(0, 2)):
            case 0:
                body = body[:at] + piece + body[at:]
            case 1:
                body = body[:at] + piece + body[min(until, at + 40) :]
            case _:
                body = body[:until] + body[at:]
    return body


@settings(max_examples=100, deadline=None)
@given(body=damaged_bodies() | st.binary(max_size=40))
@example(body=b'{"event_id":' * 2000)
@example(body=b'{"event_id":"x","a":' + b"[" * 50_000 + b"]" * 50_000 + b"}")
def test_damaged_bytes_get_an_answer(body: bytes) -> None:
    """Damaged bytes are judged, and kept, held or refused: never another exception."""
    verdict = Validator(default_registry()).validate(body)
    assert verdict.valid or verdict.findings
    try:
        kept = admit(body, registry=default_registry())
    except AdmissionError:
        assert not verdict.valid
    else:
        assert kept.hold is None or kept.hold in HOLD_CODES
        assert len(canonical_hash(kept.body)) == 32
        for text in (kept.event_id, kept.event_type, kept.team or "", kept.hold_detail or ""):
            assert text.encode().decode() == text


@settings(max_examples=100, deadline=None)
@given(
    parent=st.sampled_from(PARENTS),
    changes=st.dictionaries(
        st.sampled_from(
            [
                "event_id",
                "event_type",
                "aggregate_type",
                "payload",
                "timestamp",
                "schema_version",
                "lamport_clock",
                "project_uuid",
                "correlation_id",
                "team_slug",
                "data_tier",
            ]
        ),
        anything,
        max_size=4,
    ),
)
def test_wrong_types_anywhere_get_an_answer(parent: bytes, changes: dict[str, Any]) -> None:
    """Any value in any envelope field is judged, and what `Event` refuses is not valid."""
    event = json.loads(parent) | changes
    verdict = Validator(default_registry()).validate_parsed(event)
    assert verdict.valid or verdict.findings
    try:
        Event.from_wire(event)
    except InvalidEventError:
        assert not verdict.valid
    except JsonError:
        return  # what the changes hold has no JSON form
