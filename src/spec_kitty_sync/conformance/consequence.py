"""What our own sender concludes from an answer: a finding is graded by its consequence."""

from __future__ import annotations

import json
from collections import Counter
from typing import Final

from spec_kitty_sync.conformance.exchange import Exchange
from spec_kitty_sync.events.results import BatchResult, Outcome, correlate, read_details

_EFFECT: Final = {
    Outcome.SUCCESS: "records it delivered and never sends it again",
    Outcome.DUPLICATE: "records it delivered and never sends it again",
    Outcome.PENDING: "asks again after 30 s, then at growing intervals up to 1 h",
    Outcome.REJECTED: "records a rejection; after five of them the event is a dead letter",
    Outcome.TERMINAL_FAILED: "gives the event up: terminal_failed, until an operator retries it",
    Outcome.TRANSIENT: "does not count it as delivered and sends it again, for ever if need be",
}
_STOPS: Final = "stops the drain with status and remedy: nothing is delivered until someone acts"


def consequence_of(exchange: Exchange, about: str = "") -> str:
    """Return what a sender does with this answer (CONTRACT 5, senders), in one sentence."""
    response = exchange.response
    if response is None:
        return "waits, then halves the batch and sends again; after three single events it stops"
    if exchange.request.method != "POST":
        return ""
    status = response.status
    if status == 200:
        return _of_results(_ids(exchange.request.text), response.body, about)
    if status in {400, 422}:
        return _of_refusal(exchange, response.body)
    return _of_status(status)


def _of_status(status: int) -> str:
    if status == 401:
        return "refreshes its token once, then stops: nothing is delivered"
    if status == 413:
        return "sends the batch in halves; an event that is too large alone is given up"
    if status in {429, 503}:
        return "waits as Retry-After says, then sends the batch again"
    if status == 408 or status >= 500:
        return "sends the batch again, then halves it; the events stay undelivered meanwhile"
    return _STOPS


def _of_results(sent: list[str], body: bytes, about: str) -> str:
    if not sent:
        return ""
    found = correlate(sent, body)
    if found.malformed:
        return f"{_EFFECT[Outcome.TRANSIENT]} ({found.malformed})"
    chosen = [one for one in found.results if one.event_id == about]
    if chosen:
        return _EFFECT[chosen[0].outcome] + _because(chosen[0])
    counts = Counter(one.outcome for one in found.results)
    if len(counts) == 1:
        return _EFFECT[found.results[0].outcome] + _because(found.results[0])
    return ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items())


def _because(result: BatchResult) -> str:
    return f" ({result.error})" if result.outcome is Outcome.TRANSIENT and result.error else ""


def _of_refusal(exchange: Exchange, body: bytes) -> str:
    sent = _ids(exchange.request.text)
    named = read_details(body)
    usable = named and set(named) <= set(sent) and len(named) < len(sent)
    if usable:
        return f"records {len(named)} as rejected and sends the others again in the same run"
    if len(sent) > 1:
        return "cannot tell the culprit: it bisects the batch post by post"
    return "records a rejection; after five of them the event is a dead letter"


def _ids(text: str) -> list[str]:
    try:
        events = json.loads(text)["events"]
        return [one["event_id"] for one in events if isinstance(one["event_id"], str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
