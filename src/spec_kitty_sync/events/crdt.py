"""Merges that need no order: grow-only set and counter (CONTRACT 4)."""

from __future__ import annotations

from collections.abc import Iterable

from spec_kitty_sync.events.models import Event


def merge_gset(events: Iterable[Event]) -> set[str]:
    """Return the union of the texts in `payload.tags`; other values add nothing."""
    merged: set[str] = set()
    for event in events:
        tags = event.payload.get("tags")
        if isinstance(tags, list):
            merged.update(tag for tag in tags if isinstance(tag, str))
    return merged


def merge_counter(events: Iterable[Event]) -> int:
    """Return the sum of the integers in `payload.delta`, each event id counted once.

    Of several events with one id the smallest delta counts, so that order does not matter.
    """
    deltas: dict[str, int] = {}
    for event in events:
        delta = event.payload.get("delta")
        if type(delta) is int:
            deltas[event.event_id] = min(delta, deltas.get(event.event_id, delta))
    return sum(deltas.values())
