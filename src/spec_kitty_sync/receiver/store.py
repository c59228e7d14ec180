"""What the receiver asks of a store of events: SQLite and PostgreSQL stand beside this file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spec_kitty_sync.receiver.decide import Known, NewEvent

PAGE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was received; `seq` grows with every stored event."""

    seq: int
    event_id: str
    received_at_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Events in order of `seq`; `more` tells whether others follow."""

    events: tuple[StoredEvent, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """What a store keeps about itself: new when the store is new."""

    server_instance_id: str
    signing_secret: bytes


class EventStore(Protocol):
    """Events of a receiver, ids unique per scope. Every method may be called from any thread,
    `open`, `add`, `reset` and `close` from one at a time.

    Within a scope `seq` grows in the order of commits: whoever has read up to a `seq` never
    misses an event below it.
    """

    def open(self) -> Identity:
        """Open or create the store; several processes may do so at once."""
        ...

    def identity(self) -> Identity:
        """Return what the store says of itself now; another process may have wiped it."""
        ...

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        """Store what is new; durable when it returns, all batches or none.

        Returns, per batch, what was stored before it under ids of that batch. The ids within
        a batch are distinct; content stored first is never changed.

        Raises:
            StoreError: nothing was stored.
        """
        ...

    def event(self, scope: str, event_id: str) -> StoredEvent | None:
        """Return one event."""
        ...

    def page(self, scope: str, *, project_uuid: str | None, after: int, limit: int) -> Page:
        """Return up to *limit* events with a larger `seq` than *after*.

        A page ends early when it grows over `PAGE_BYTES`, but has at least one event.
        """
        ...

    def bodies_of_types(
        self, scope: str, event_types: Collection[str], *, project_uuid: str | None
    ) -> list[bytes]:
        """Return the events of those types in order of `seq`."""
        ...

    def newest_clock(self, scope: str) -> int:
        """Return the highest lamport clock among the newest events; 0 without events."""
        ...

    def close(self) -> None:
        """Close the store; `open` opens it again."""
        ...

    def reset(self) -> Identity:
        """Forget all events and return the new identity; users and their tokens stay."""
        ...


def page_of(rows: Iterable[tuple[Any, ...]], limit: int) -> Page:
    """Return the first *limit* of *rows*, fewer when they are large."""
    events: list[StoredEvent] = []
    size = 0
    for row in rows:
        event = StoredEvent(*row)
        size += len(event.body)
        if len(events) == limit or (events and size > PAGE_BYTES):
            return Page(tuple(events), more=True)
        events.append(event)
    return Page(tuple(events), more=False)
