"""Settles concurrent state changes by priority (CONTRACT 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spec_kitty_sync.errors import ContractError
from spec_kitty_sync.events.conflict import total_order_key
from spec_kitty_sync.events.models import Event


@dataclass(frozen=True, slots=True)
class ConflictResolution:
    """The event that stands, why, and whether a person should look at it."""

    merged_event: Event
    resolution_note: str
    requires_manual_review: bool
    conflicting_events: tuple[Event, ...]


def state_machine_merge(
    events: Iterable[Event], priority_map: Mapping[str, int], state_key: str = "state"
) -> ConflictResolution:
    """Return which of *events* stands: that whose `payload[state_key]` has the highest priority.

    Of several with the highest priority the first in total order stands; where they state different
    states, or some state has no priority, a person should look.

    Raises:
        ContractError: there are no events.
    """
    ranked = sorted(events, key=total_order_key)
    if not ranked:
        raise ContractError("nothing to merge", remedy="Pass at least one event.")
    states = [_state(event, state_key) for event in ranked]
    unknown = sorted({str(s) for s in states if s is None or s not in priority_map})
    ranks = [priority_map.get(s) if s is not None else None for s in states]
    best = max((rank for rank in ranks if rank is not None), default=None)
    winners = [n for n, rank in enumerate(ranks) if rank == best]
    merged = ranked[winners[0]]
    tie = sorted({str(states[n]) for n in winners})
    note = f"{state_key} {states[winners[0]]!r} stands"
    if len(tie) > 1:
        note += f"; of equal priority: {', '.join(tie)}"
    if unknown:
        note += f"; without priority: {', '.join(unknown)}"
    review = len(tie) > 1 or bool(unknown)
    return ConflictResolution(merged, note, review, tuple(ranked))


def _state(event: Event, key: str) -> str | None:
    value = event.payload.get(key)
    return value if isinstance(value, str) else None
