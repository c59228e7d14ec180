"""Ports to where events, clocks and errors are kept, each with a version in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.ordering import sort_events


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """Something that went wrong, and what was done about it; `timestamp` is RFC 3339."""

    timestamp: str
    action_attempted: str
    error_message: str
    resolution: str = ""
    agent: str = ""


class EventStore(Protocol):
    """Keeps events, each id once."""

    def save_event(self, event: Event) -> None:
        """Keep *event*; an id that is kept already stays as it is."""
        ...

    def load_events(self, aggregate_id: str) -> list[Event]:
        """Return the events of one aggregate in the reducers' order."""
        ...

    def load_all_events(self) -> list[Event]:
        """Return all events in the reducers' order."""
        ...


class ClockStorage(Protocol):
    """Keeps the Lamport clock of each node."""

    def load(self, node_id: str) -> int:
        """Return the last saved value, 0 for a new node."""
        ...

    def save(self, node_id: str, value: int) -> None:
        """Keep *value*; a clock never goes back."""
        ...


class ErrorStorage(Protocol):
    """Keeps errors in the order they happened."""

    def append(self, entry: ErrorEntry) -> None:
        """Keep *entry*."""
        ...

    def load_recent(self, limit: int = 10) -> list[ErrorEntry]:
        """Return at most *limit* entries, the newest first."""
        ...


class InMemoryEventStore:
    """An `EventStore` that forgets when the process ends."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}

    def save_event(self, event: Event) -> None:
        self._events.setdefault(event.event_id, event)

    def load_events(self, aggregate_id: str) -> list[Event]:
        return sort_events(e for e in self._events.values() if e.aggregate_id == aggregate_id)

    def load_all_events(self) -> list[Event]:
        return sort_events(self._events.values())


class InMemoryClockStorage:
    """A `ClockStorage` that forgets when the process ends."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}

    def load(self, node_id: str) -> int:
        return self._values.get(node_id, 0)

    def save(self, node_id: str, value: int) -> None:
        self._values[node_id] = max(value, self.load(node_id))


class InMemoryErrorStorage:
    """An `ErrorStorage` that forgets when the process ends."""

    def __init__(self) -> None:
        self._entries: list[ErrorEntry] = []

    def append(self, entry: ErrorEntry) -> None:
        self._entries.append(entry)

    def load_recent(self, limit: int = 10) -> list[ErrorEntry]:
        return self._entries[: -limit - 1 : -1] if limit > 0 else []
