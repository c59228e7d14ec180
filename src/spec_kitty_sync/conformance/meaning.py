"""What an answer that was not wanted means to the receiver's author: a text per kind of answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

Meaning: TypeAlias = str | Mapping[str, str]
"""One text, or texts by what came: a result's status, `2xx`, `4xx`, `5xx`; `""` is for the rest."""

TAKES_DOWN: Final = (
    "the request takes the receiver down: the sender sees an outage and sends the same again"
)
BODY_BLURRED: Final = "the sender does not learn that its body is what is wrong"
OVER_LIMIT: Final = "an event over the advertised limit is taken: the limit is not enforced"
_NOT_TAKEN: Final = "a valid event is not taken"
_FOR_NOW: Final = "it is said to fail for now: the sender tries it again, for ever if that stays so"
_CALLED_KNOWN: Final = (
    "a new event is called known: the sender takes it for delivered, and it is lost"
)
_BATCH_FAILS: Final = "one bad event makes the whole batch fail: the good ones beside it wait"
_BAD_TAKEN: Final = "a bad event is taken for a good one"
_FORGOTTEN: Final = "the event was called a success before, and is not known any more"
_KNOWN_REFUSED: Final = (
    "a known event is answered as an error: after a lost reply the sender takes what is stored for"
    " rejected"
)


def meaning_of(means: Meaning, came: str) -> str:
    """Return the text for what *came*."""
    if isinstance(means, str):
        return means
    return means.get(came, means.get("", ""))


def by_status(status: int | None) -> str:
    """Return the key of an HTTP status: `4xx`."""
    return f"{(status or 0) // 100}xx"


def unless_taken(means: Meaning) -> Meaning:
    """Return *means*, which is about a refusal, with texts for other ways not to take an event."""
    usual = {"": _NOT_TAKEN, "duplicate": _CALLED_KNOWN, "5xx": TAKES_DOWN}
    return usual | {"failed_transient": _FOR_NOW} | _as_mapping(means, "")


def unless_refused(means: Meaning) -> Meaning:
    """Return *means*, which is about taking it, with texts for other ways not to refuse it."""
    usual = {"": _BAD_TAKEN, "duplicate": _CALLED_KNOWN, "4xx": _BATCH_FAILS, "5xx": TAKES_DOWN}
    return usual | {"failed_transient": _FOR_NOW} | _as_mapping(means, "")


def unless_known(means: Meaning) -> Meaning:
    """Return *means*, which is about success, with texts for other ways not to know an event."""
    usual = {"": _FOR_NOW, "success": _FORGOTTEN, "5xx": TAKES_DOWN}
    refused = dict.fromkeys(("rejected", "failed_permanent", "4xx"), _KNOWN_REFUSED)
    return usual | refused | _as_mapping(means, "success")


def _as_mapping(means: Meaning, key: str) -> dict[str, str]:
    if isinstance(means, str):
        return {key: means} if means else {}
    return dict(means)
