"""The bytes of a batch, cut into the exact bytes of its events."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.refusal import malformed, too_large

_BLANK = re.compile(r"[ \t\n\r]*")


def _no_constant(name: str) -> NoReturn:
    raise malformed(f"the body is not JSON: {name} is no number")


# Integers as floats: a million digits are no error here; the strict check comes later.
_DECODER = json.JSONDecoder(parse_int=float, parse_constant=_no_constant)


@dataclass(frozen=True, slots=True)
class Element:
    """One entry of `events`: its bytes as sent, and a lenient first look at its fields.

    Numbers in `fields` are floats; nothing in it has been validated.
    """

    index: int
    body: bytes
    fields: dict[str, Any] | None

    @property
    def event_id(self) -> str | None:
        """Return the id to echo; None where there is no text under `event_id`."""
        value = self.fields.get("event_id") if self.fields else None
        return value if isinstance(value, str) else None


def split_batch(body: bytes, limits: Limits) -> tuple[Element, ...]:
    """Return the entries of `{"events": […]}` in the order sent.

    Raises:
        Refusal: 400 for anything else, 413 for more events than allowed.
    """
    text = _text(body)
    elements: list[Element] = []

    def entry(pos: int) -> int:
        if len(elements) >= limits.max_batch_events:
            raise too_large(f"more than {limits.max_batch_events} events in one batch")
        element, end = _element(text, pos, len(elements))
        elements.append(element)
        return end

    def events(pos: int) -> int:
        if text[pos : pos + 1] != "[":
            raise malformed('"events" is not a list')
        return _sequence(text, pos, "]", entry)

    _walk_object(text, "events", events)
    return tuple(elements)


def split_frame(frame: str) -> Element:
    """Return the event of a WebSocket frame `{"type": "event", "event": {…}}`.

    Raises:
        Refusal: the frame is no JSON object with an `event`.
    """
    elements: list[Element] = []

    def event(pos: int) -> int:
        element, end = _element(frame, pos, 0)
        elements.append(element)
        return end

    _walk_object(frame, "event", event)
    return elements[0]


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise malformed(f"the body is not UTF-8 at byte {exc.start}") from None


def _element(text: str, pos: int, index: int) -> tuple[Element, int]:
    value, end = _value(text, pos)
    fields = value if isinstance(value, dict) else None
    return Element(index, text[pos:end].encode(), fields), end


def _walk_object(text: str, wanted: str, take: Callable[[int], int]) -> None:
    """Check that *text* is one JSON object and let *take* read the value of *wanted*.

    *take* gets where the value starts and returns where it ends.
    """
    seen: list[int] = []

    def member(pos: int) -> int:
        key, pos = _value(text, pos)
        if not isinstance(key, str):
            raise malformed("the body is not JSON: a key is no text")
        pos = _blank(text, _expect(text, _blank(text, pos), ":"))
        if key != wanted:
            return _value(text, pos)[1]
        if seen:
            raise malformed(f'"{wanted}" stands twice in the body')
        seen.append(pos)
        return take(pos)

    start = _blank(text, 0)
    if text[start : start + 1] != "{":
        raise malformed("the body is not a JSON object")
    end = _sequence(text, start, "}", member)
    if _blank(text, end) != len(text):
        raise malformed("the body goes on after its JSON object")
    if not seen:
        raise malformed(f'the body lacks "{wanted}"')


def _sequence(text: str, start: int, close: str, member: Callable[[int], int]) -> int:
    """Walk over the members between a bracket at *start* and *close*; return the end."""
    pos = _blank(text, start + 1)
    if text[pos : pos + 1] == close:
        return pos + 1
    while True:
        pos = _blank(text, member(pos))
        if text[pos : pos + 1] == close:
            return pos + 1
        pos = _blank(text, _expect(text, pos, ","))


def _value(text: str, pos: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, pos)
    except json.JSONDecodeError as exc:
        raise malformed(f"the body is not JSON at character {exc.pos}: {exc.msg}") from None
    except RecursionError:
        raise malformed("the body is nested too deep") from None


def _blank(text: str, pos: int) -> int:
    match = _BLANK.match(text, pos)
    return match.end() if match else pos


def _expect(text: str, pos: int, char: str) -> int:
    if text[pos : pos + 1] != char:
        raise malformed(f"the body is not JSON at character {pos}: {char!r} expected")
    return pos + 1
