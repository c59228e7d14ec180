"""What a repeated request says about a finding: it holds, it is mended, or nobody can say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from spec_kitty_sync.conformance.exchange import TOKEN_NAME, Exchange
from spec_kitty_sync.conformance.reply import Reply

REPEATED, MENDED, UNCLEAR = 1, 0, 4
_RACES: Final = "-CON-"
_LOCKED: Final = frozenset({401, 403})
_STATUSES: Final = re.compile(r"HTTP (?:\{([\d, ]+)\}|(\d+))")
_RESULT: Final = re.compile(r"status of (\S+) is (?:\{([\w, ]+)\}|(\w+))")
_OBJECT_WITH: Final = re.compile(r'a JSON object with a (?:list|non-empty) "(\w+)"')
Rename = Callable[[str], str]
"""Gives the id under which an event was sent this time."""


@dataclass(frozen=True)
class ReplayEnding:
    """How a replay ended, in words, and the exit code that stands for it."""

    code: int
    words: str


def is_race(check_id: str) -> bool:
    """Return whether the check is about requests that meet: one after the other is another case."""
    return _RACES in check_id


def race_ending(content: Mapping[str, Any], url: str) -> ReplayEnding:
    """Return the ending of a capsule whose requests raced."""
    again = f"spec-kitty conformance receiver {url} --only {content['check']}"
    return ReplayEnding(
        UNCLEAR,
        f"these requests were sent at once, which a replay cannot repeat: run `{again}`",
    )


def obstacle(then: Exchange, now: Exchange, has_token: bool) -> str:
    """Return why the answer *now* says nothing about the finding; nothing where it does."""
    if now.response is None:
        return "" if then.broke else f"no answer came: {now.broke}"
    status = now.response.status
    before = then.response.status if then.response else None
    asked = (then.request.header("Authorization") or "").endswith(TOKEN_NAME)
    if status == 401 and asked and not has_token:
        return "HTTP 401, as no token was given: set SK_TOKEN or name its variable with --token-env"
    if status == before:
        return ""
    if status in _LOCKED:
        return f"HTTP {status}: the receiver does not let this token in"
    return f"HTTP {status}: the receiver failed in another way" if status >= 500 else ""


def ending(
    content: Mapping[str, Any], then: Exchange, now: Exchange, has_token: bool, rename: Rename
) -> ReplayEnding:
    """Return what the answer *now* to the step of a finding says, by what the finding expected."""
    step = f"step {content['step']}"
    expected = (content.get("finding") or {}).get("expected", "")
    holds = _holds(expected, now, rename)
    if holds:
        return ReplayEnding(MENDED, f"{step} is answered as expected now: {expected}")
    found = obstacle(then, now, has_token)
    if found:
        return ReplayEnding(UNCLEAR, f"{step} cannot be judged: {found}")
    if then.gist == now.gist or (then.broke and now.broke):
        return ReplayEnding(REPEATED, f"{step} is answered as before")
    if holds is False:
        words = f"{step} is answered differently now, and not as expected: {expected}"
        return ReplayEnding(REPEATED, words)
    return ReplayEnding(MENDED, f"{step} is answered differently now")


def _holds(expected: str, now: Exchange, rename: Rename) -> bool | None:
    """Return whether *now* is what was *expected*; None where the words alone cannot tell."""
    reply = Reply(now, 0)
    if now.response is None:
        return False
    if expected == "an HTTP answer":
        return True
    if status := _STATUSES.fullmatch(expected):
        return str(reply.status) in _words(status[1] or status[2])
    if result := _RESULT.fullmatch(expected):
        return reply.status_of(rename(result[1])) in _words(result[2] or result[3])
    if key := _OBJECT_WITH.fullmatch(expected):
        return isinstance(reply.json, dict) and bool(reply.json.get(key[1]))
    return None


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")}
