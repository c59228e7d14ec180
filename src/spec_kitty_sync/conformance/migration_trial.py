"""What a migration check can do: make a home, run the tool, look at what it drains."""

from __future__ import annotations

from spec_kitty_sync.conformance.trial import Trial


class MigrationTrial(Trial):
    """A migration tool in a home full of old queues."""
