"""The log of what went wrong while working, for agents to learn from."""

from __future__ import annotations

from spec_kitty_sync.events.storage import ErrorEntry, ErrorStorage, InMemoryErrorStorage


class ErrorLog:
    """Errors in the order they happened, kept by an `ErrorStorage`."""

    def __init__(self, storage: ErrorStorage | None = None) -> None:
        self._storage: ErrorStorage = storage if storage is not None else InMemoryErrorStorage()

    def log_error(self, entry: ErrorEntry) -> None:
        """Keep *entry*."""
        self._storage.append(entry)

    def get_recent_errors(self, limit: int = 10) -> list[ErrorEntry]:
        """Return at most *limit* entries, the newest first."""
        return self._storage.load_recent(limit)
