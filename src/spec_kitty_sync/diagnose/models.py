"""What diagnose is given and what it answers: rows in, results and a report out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from spec_kitty_sync.events.findings import Finding, Severity

REPORT_VERSION = "1.0.0"


class Row(NamedTuple):
    """One event as it stands in a source.

    `row` is the number that finds it again: rowid, line or seq. `body` is None when the row holds
    no event, `problem` says why. `filed_id` and `filed_type` are the columns beside the bytes.
    `notes` are findings that only the source can know.
    """

    source: str
    row: int
    body: bytes | None
    problem: str | None = None
    filed_id: str | None = None
    filed_type: str | None = None
    notes: tuple[Finding, ...] = ()


class Source(Protocol):
    """One place that events come from; nothing is opened before `rows`."""

    @property
    def name(self) -> str:
        """The path, or what stands for it."""
        ...

    @property
    def passed_over(self) -> int:
        """How many rows were left out because they are delivered or imported already."""
        ...

    @property
    def advice(self) -> str | None:
        """What to do with the source as a whole before single events, if anything."""
        ...

    @property
    def position(self) -> tuple[int, int] | None:
        """Bytes read and bytes in all, roughly; None where nobody can tell."""
        ...

    def rows(self) -> Iterator[Row]:
        """Yield the rows to judge.

        Raises:
            SpecKittyError: the source cannot be read, or not to its end.
        """
        ...


class Verdict(StrEnum):
    """What was found of one event; UNREADABLE means that it is no event at all."""

    VALID = "valid"
    WARNINGS = "warnings"
    INVALID = "invalid"
    UNREADABLE = "unreadable"


class DiagnoseResult(NamedTuple):
    """The verdict on one event. Id, type and dialect are None where the bytes do not tell."""

    source: str
    row: int
    event_id: str | None
    event_type: str | None
    valid: bool
    dialect: str | None
    findings: tuple[Finding, ...]
    error_category: str | None

    @property
    def errors(self) -> list[str]:
        """The message of every finding that makes the event invalid."""
        return [each.message for each in self.findings if each.severity == "error"]

    @property
    def verdict(self) -> Verdict:
        if self.valid:
            return Verdict.WARNINGS if self.findings else Verdict.VALID
        return Verdict.INVALID if self.dialect else Verdict.UNREADABLE

    def as_json(self) -> dict[str, Any]:
        """Return the result as `--json` and `--jsonl` print it."""
        return {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "valid": self.valid,
            "errors": self.errors,
            "dialect": self.dialect,
            "findings": [each._asdict() for each in self.findings],
            "error_category": self.error_category,
            "source": self.source,
            "row": self.row,
        }


@dataclass(frozen=True)
class Summary:
    """Counts of events. `total` = valid + invalid + unreadable; `warnings` is part of valid.

    `by_hold`: those that cannot leave this machine, by reason; they may be valid.
    """

    total: int = 0
    valid: int = 0
    warnings: int = 0
    invalid: int = 0
    unreadable: int = 0
    by_type: Mapping[str, int] = field(default_factory=dict)
    by_category: Mapping[str, int] = field(default_factory=dict)
    by_code: Mapping[str, int] = field(default_factory=dict)
    by_hold: Mapping[str, int] = field(default_factory=dict)

    @property
    def sendable(self) -> int:
        """How many can be sent; the receiver decides about those that are invalid."""
        return self.total - self.unreadable - sum(self.by_hold.values())


@dataclass(frozen=True)
class Problem:
    """Why a source could not be read, or not to its end."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class SourceReport:
    """What was found in one source; `passed_over` rows are delivered or imported already.

    `advice` is what to do with the source as a whole before single events are corrected.
    """

    source: str
    summary: Summary
    passed_over: int
    problem: Problem | None
    advice: str | None


@dataclass(frozen=True)
class Place:
    """Where in events one rule is broken: how often, and the first time.

    `path` is a JSON Pointer with `*` for list positions; `about` is the value that the rule
    turns on, where there is one (the type that nobody registered).
    """

    path: str
    about: str | None
    events: int
    source: str
    row: int
    event_id: str | None
    message: str


@dataclass(frozen=True)
class Cause:
    """All events that break one rule, with the one thing that helps; the commonest place first."""

    code: str
    severity: Severity
    events: int
    meaning: str
    remedy: str
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Report:
    """Everything but the single results."""

    summary: Summary
    sources: tuple[SourceReport, ...]
    causes: tuple[Cause, ...]

    @property
    def exit_code(self) -> int:
        """3 a source could not be read, 1 an event is invalid, else 0."""
        if any(each.problem for each in self.sources):
            return 3
        return 1 if self.summary.invalid or self.summary.unreadable else 0
