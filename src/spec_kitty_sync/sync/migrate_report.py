"""What a migration did, source by source; frozen, and the same object for text and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

QUEUED_ONLY_NOTE = (
    "Only events that are still queued can be imported: what older CLIs delivered and deleted "
    "is not in these files."
)
NO_EVENTS = "it holds no table of events"


class SourceOutcome(StrEnum):
    """How reading one source ended."""

    IMPORTED = "imported"
    EMPTY = "empty"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    BUSY = "busy"
    SKIPPED = "skipped"
    NOT_A_SOURCE = "not_a_source"


@dataclass(frozen=True)
class SourceReport:
    """One source: `rows` is always the sum of the four counts after it.

    `attention` tells that events may be waiting in it that nobody has read.
    """

    path: str
    kind: str
    scope: str | None
    outcome: SourceOutcome
    rows: int = 0
    imported: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    reason: str | None = None
    remedy: str | None = None
    attention: bool = False
    unchanged: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "outcome": self.outcome.value,
            "rows": self.rows,
            "imported": self.imported,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "quarantined": self.quarantined,
            "reason": self.reason,
            "remedy": self.remedy,
        }


@dataclass(frozen=True)
class MigrationReport:
    """All sources of one run. With `dry_run` nothing was written.

    `undecided` counts the rows in conflict or quarantine that wait for a decision, also those
    whose source has lost them since.
    """

    sources: tuple[SourceReport, ...]
    notes: tuple[str, ...]
    dry_run: bool = False
    undecided: int = 0

    @classmethod
    def of(
        cls,
        sources: tuple[SourceReport, ...],
        notes: tuple[str, ...],
        *,
        dry_run: bool = False,
        undecided: int = 0,
    ) -> MigrationReport:
        """Return the report of *sources*, with the notes that every report carries."""
        first = () if sources else ("Nothing to do: this home has no legacy sources.",)
        return cls(sources, (*first, QUEUED_ONLY_NOTE, *notes), dry_run, undecided)

    @property
    def imported(self) -> int:
        return sum(source.imported for source in self.sources)

    @property
    def duplicates(self) -> int:
        return sum(source.duplicates for source in self.sources)

    @property
    def conflicts(self) -> int:
        return sum(source.conflicts for source in self.sources)

    @property
    def quarantined(self) -> int:
        return sum(source.quarantined for source in self.sources)

    @property
    def exit_code(self) -> int:
        """Return 3 if a source could not be read, 1 for conflicts or quarantined rows, else 0."""
        if any(source.attention for source in self.sources):
            return 3
        return 1 if self.conflicts or self.quarantined or self.undecided else 0

    def to_json(self) -> dict[str, Any]:
        return {
            "imported": self.imported,
            "duplicates": self.duplicates,
            "conflicts": self.conflicts,
            "quarantined": self.quarantined,
            "sources": [source.to_json() for source in self.sources],
            "notes": list(self.notes),
        }
