"""HTML that cannot be broken by what stands in an event: every value is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is markup already; made only by this module."""

    __slots__ = ()


def html(template: str, /, **values: object) -> Html:
    """Return *template* with its `{names}` filled in; what is not `Html` is shown as text.

    The template is a constant of the caller, never built from data.
    """
    return Html(template.format(**{name: _shown(value) for name, value in values.items()}))


def joined(parts: Iterable[Html]) -> Html:
    """Return *parts* one after the other."""
    return Html("".join(parts))


def _shown(value: object) -> str:
    if isinstance(value, Html):
        return value
    return escape("" if value is None else str(value), quote=True)
