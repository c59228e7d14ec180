"""The ledger's states and the one function that moves between them (CONTRACT 5 and 6)."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from spec_kitty_sync.events.results import Outcome

DEFAULT_MAX_REJECTIONS = 5


class DeliveryState(StrEnum):
    """Where one event stands with one target."""

    OPEN = "open"
    HELD = "held"
    PENDING = "pending"
    TRANSIENT = "transient"
    REJECTED = "rejected"
    DELIVERED = "delivered"
    DEAD_LETTER = "dead_letter"
    TERMINAL_FAILED = "terminal_failed"


DUE_STATES = frozenset({DeliveryState.PENDING, DeliveryState.TRANSIENT, DeliveryState.REJECTED})
"""Selected again by themselves once their time has come."""

PARKED_STATES = frozenset({DeliveryState.DEAD_LETTER, DeliveryState.TERMINAL_FAILED})
"""Never selected; only `retry` or a replaced event opens them."""


def next_state(
    state: DeliveryState, outcome: Outcome, *, rejections: int, limit: int = DEFAULT_MAX_REJECTIONS
) -> DeliveryState:
    """Return the state after *outcome*; only DELIVERED is absorbing.

    *rejections* counts this outcome too, if it is a rejection.
    """
    if state is DeliveryState.DELIVERED:
        return state
    match outcome:
        case Outcome.SUCCESS | Outcome.DUPLICATE:
            return DeliveryState.DELIVERED
        case Outcome.PENDING:
            return DeliveryState.PENDING
        case Outcome.TRANSIENT:
            return DeliveryState.TRANSIENT
        case Outcome.REJECTED:
            if rejections >= limit:
                return DeliveryState.DEAD_LETTER
            return DeliveryState.REJECTED
        case Outcome.TERMINAL_FAILED:
            return DeliveryState.TERMINAL_FAILED
        case _:
            assert_never(outcome)
