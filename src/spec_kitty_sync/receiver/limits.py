"""What one request may cost (CONTRACT 5, Receivers; the health answer advertises it)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    max_batch_events: int = 1000
    max_event_bytes: int = 262_144
    max_body_bytes: int = 8 * 1024 * 1024
    header_s: float = 10.0
    body_s: float = 30.0
    max_concurrent: int = 64
    requests_per_s: float | None = None

    @property
    def max_discard_bytes(self) -> int:
        """Return how much of a refused body is read, so that the client sees the answer."""
        return 4 * self.max_body_bytes
