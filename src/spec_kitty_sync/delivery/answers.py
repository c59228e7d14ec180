"""What one answer to a batch means for the drain: the senders' table of CONTRACT 5. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spec_kitty_sync._http import Reply
from spec_kitty_sync.delivery.backoff import retry_after_s
from spec_kitty_sync.events.results import (
    HTML_PAGE,
    Correlation,
    correlate,
    read_details,
    words_of,
)


@dataclass(frozen=True, slots=True)
class Results:
    """One result per event."""

    correlation: Correlation


@dataclass(frozen=True, slots=True)
class Named:
    """The whole batch was refused, and the answer names the culprits: id → reason."""

    faults: Mapping[str, str]
    status: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The whole batch was refused without saying for which event."""

    words: str
    status: int


@dataclass(frozen=True, slots=True)
class Unauthorized:
    words: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    words: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Ask again later; `after_s` is None when the receiver does not say when."""

    after_s: float | None
    words: str
    status: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """The request may have been received, but its answer is lost or the server failed."""

    words: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Fatal:
    """The drain stops: no event is at fault."""

    code: str
    words: str
    remedy: str
    status: int | None = None


Answer = Results | Named | Refused | Unauthorized | TooLarge | Throttled | Trouble | Fatal

ADDRESS = "Check the address; `spec-kitty sync server URL` changes it."
_REMEDIES: Mapping[int, tuple[str, str]] = {
    403: ("forbidden", "Run `spec-kitty auth login` with an account that may write to this team."),
    404: ("not_found", ADDRESS),
    405: ("not_found", ADDRESS),
    412: ("protocol_mismatch", "Do what the server says above, then run `spec-kitty sync now`."),
}
_REDIRECT = ("redirected", "Set the address that answers itself: `spec-kitty sync server URL`.")
_OTHER = ("unexpected_answer", ADDRESS)


def read_answer(reply: Reply, sent: Sequence[str], *, now_ms: int) -> Answer:
    """Return what *reply* means for the events *sent*."""
    status = reply.status
    if status == 200:
        return Results(correlate(sent, reply.body))
    if status in (400, 422):
        return _refusal(reply, sent)
    words = words_of(reply.body)
    if status == 401:
        return Unauthorized(words)
    if status == 413:
        return TooLarge(words)
    after_s = retry_after_s(reply.headers.get("retry-after"), now_ms)
    if status == 429 or (status == 503 and after_s is not None):
        return Throttled(after_s, words, status)
    if status == 408 or status >= 500:
        bare = not words or words == HTML_PAGE
        return Trouble(answered(status, words) if bare else words, status)
    code, remedy = _REDIRECT if 300 <= status < 400 else _REMEDIES.get(status, _OTHER)
    return Fatal(code, words, remedy, status)


def answered(status: int, words: str) -> str:
    """Return the answer in one phrase; only of a page for browsers more than its status."""
    page = f" with {HTML_PAGE}" if words == HTML_PAGE else ""
    return f"the server answered {status}{page}"


def _refusal(reply: Reply, sent: Sequence[str]) -> Named | Refused:
    faults = read_details(reply.body)
    ours = faults.keys() <= set(sent)
    if faults and ours and (len(faults) < len(sent) or len(sent) == 1):
        return Named(faults, reply.status)
    return Refused(words_of(reply.body), reply.status)
