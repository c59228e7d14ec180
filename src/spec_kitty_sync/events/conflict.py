"""Which events happened at once, and an order that every node agrees on (CONTRACT 4)."""

from __future__ import annotations

from spec_kitty_sync.events.models import Event


def is_concurrent(a: Event, b: Event) -> bool:
    """Return True when *a* and *b* are two events on one aggregate with equal clocks."""
    return (
        a.event_id != b.event_id
        and a.lamport_clock == b.lamport_clock
        and (a.aggregate_type, a.aggregate_id) == (b.aggregate_type, b.aggregate_id)
    )


def total_order_key(event: Event) -> tuple[int, str, str]:
    """Return (lamport_clock, node_id, event_id): the same order everywhere."""
    return event.lamport_clock, event.node_id, event.event_id
