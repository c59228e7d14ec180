"""Numbers, sizes and times as a person reads them, and lines that fit a terminal."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from spec_kitty_sync._words import plural

_PIPE_WIDTH = 80
_WIDEST = 100
_STEPS = ((86_400 * 365, "year"), (86_400, "day"), (3_600, "hour"), (60, "minute"))


def size(count: int) -> str:
    """Return bytes with a unit a person reads."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def span(seconds: float) -> str:
    """Return a length of time in its largest whole unit."""
    for length, unit in _STEPS:
        if seconds >= length:
            return plural(int(seconds // length), unit)
    return plural(max(0, int(seconds)), "second")


def when(moment: str | None, now: str) -> str:
    """Return an RFC 3339 time as "3 hours ago (2026-02-12 10:00 UTC)"; None is "never"."""
    if moment is None:
        return "never"
    try:
        then = datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError):
        return moment
    seconds = (datetime.fromisoformat(now).astimezone(UTC) - then).total_seconds()
    if abs(seconds) < 1:
        relative = "just now"
    else:
        relative = f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"
    return f"{relative} ({then:%Y-%m-%d %H:%M} UTC)"


def width() -> int:
    """Return how many columns a line may take: those of the terminal, 80 in a pipe."""
    if not sys.stdout.isatty():
        return _PIPE_WIDTH
    import shutil  # loads every compression there is, and pipes have no size

    return min(shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns, _WIDEST)


def wrapped(text: str, *, indent: int = 0, first: str = "") -> str:
    """Return *text* broken between words; *first* stands before it, *indent* before the rest."""
    return textwrap.fill(
        text,
        width=width(),
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def paint(text: str, **style: Any) -> str:
    """Return *text* in colour; NO_COLOR leaves it plain, and a pipe strips it anyway."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def columns(rows: Sequence[tuple[int, str]]) -> list[str]:
    """Return one line for each (number, words), the numbers right-aligned under each other."""
    shown = [(f"{number:,}", words) for number, words in rows]
    widest = max((len(number) for number, _ in shown), default=0)
    return [f"  {number:>{widest}}  {words}" for number, words in shown]
