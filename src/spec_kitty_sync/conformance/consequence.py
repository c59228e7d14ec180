"""What our own sender concludes from an answer: a finding is graded by its consequence."""

from __future__ import annotations

from spec_kitty_sync.conformance.exchange import Exchange


def consequence_of(exchange: Exchange) -> str:
    """Return what a sender does with this answer (CONTRACT 5, senders), in one sentence."""
    if exchange.response is None:
        return "waits, then halves the batch and sends again; after three single events it stops"
    status = exchange.response.status
    if status == 200:
        return ""
    if status == 401:
        return "refreshes its token once, then stops: nothing is delivered"
    if status in {400, 422}:
        return "looks for culprits in `details`; without them it bisects the batch post by post"
    if status == 413:
        return "halves the batch until one event is left, then gives that event up"
    if status in {429, 503}:
        return "waits as Retry-After says, then sends the batch again"
    if status == 408 or status >= 500:
        return "sends the batch again, then halves it; the events stay undelivered meanwhile"
    return "stops the drain with status and remedy: nothing is delivered until someone acts"
