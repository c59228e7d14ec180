"""What may stand in an argument: texts, whole numbers, and seconds, each with its bounds."""

from __future__ import annotations

import re
from typing import Any

import click

LARGEST = 2**63 - 1
"""What a database can hold."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,19}(\.[0-9]*)?|\.[0-9]+)")
_SHOWN = 60


def short(value: object) -> str:
    """Return *value* quoted, and no longer than an error can show."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Text(click.types.StringParamType):
    """A text that can be stored and sent: the shell also hands over bytes that are no UTF-8."""

    name = "text"

    def __init__(self, *, shown: bool = True) -> None:
        self._shown = shown

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{self._named(text)} is not UTF-8 text.", param, ctx)
        if "\0" in text:
            self.fail(f"{self._named(text)} holds a NUL character.", param, ctx)
        if not text and isinstance(param, click.Argument):
            self.fail("it is empty.", param, ctx)
        return text

    def _named(self, text: str) -> str:
        return short(text) if self._shown else "the value"


class Whole(click.IntRange):
    """A whole number in ASCII digits that fits into 64 bits."""

    def __init__(self, min: int = -LARGEST, max: int = LARGEST) -> None:
        super().__init__(min, max)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if isinstance(value, str) and not _WHOLE.fullmatch(value.strip()):
            self.fail(f"{short(value)} is no whole number {self._described()}.", param, ctx)
        return int(super().convert(value, param, ctx))

    def _described(self) -> str:
        return f"from {self.min} to {self.max}"

    def _describe_range(self) -> str:
        # In help a bound of 64 bits says nothing.
        low = "" if self.min == -LARGEST else f"{self.min}<="
        high = "" if self.max == LARGEST else f"<={self.max}"
        return f"{low}x{high}" if low or high else ""


class Seconds(click.FloatRange):
    """A number of seconds, or of something per second: finite, and no more than a year's."""

    def __init__(self, min: float = 0, max: float = 31_536_000, *, min_open: bool = False) -> None:
        super().__init__(min, max, min_open=min_open)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
            self.fail(f"{short(value)} is no number {self._described()}.", param, ctx)
        return float(super().convert(value, param, ctx))

    def _described(self) -> str:
        return f"{'above' if self.min_open else 'from'} {self.min:g} to {self.max:g}"


TEXT = Text()
WHOLE = Whole()
SECRET = Text(shown=False)
MOST = 1_000_000_000
LIMIT = Whole(1, MOST)
