"""Counting results as they pass: what stays in memory does not grow with the events."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from spec_kitty_sync.diagnose.causes import meaning_of, remedy_of
from spec_kitty_sync.diagnose.models import (
    Cause,
    DiagnoseResult,
    Place,
    Problem,
    Report,
    SourceReport,
    Summary,
)
from spec_kitty_sync.events.findings import Finding, Severity

# A hostile input may name a new type or key in every event, each as long as an event may be.
MOST_TYPES = 500
MOST_PLACES = 100
LONGEST_TYPE = 200
OTHERS = "(others)"
NO_TYPE = "(none)"

_POSITION = re.compile(r"/[0-9]+(?=/|$)")
_TURNS_ON_VALUE = frozenset({"unknown_event_type", "unknown_aggregate_type", "unknown_lane"})

_Spot = tuple[str, str | None]


class Tally:
    """Takes results one by one and gives the report at any time."""

    def __init__(self) -> None:
        self._sources: dict[str, _SourceTally] = {}
        self._causes: dict[tuple[Severity, str], _CauseTally] = {}

    @property
    def judged(self) -> int:
        """How many results were counted."""
        return sum(each.judged for each in self._sources.values())

    def open(self, source: str) -> _SourceTally:
        """Return the counts of *source*, which is reported even if it has no row."""
        return self._sources.setdefault(source, _SourceTally())

    def explain(self, result: DiagnoseResult) -> None:
        """Count the causes of a result that has findings."""
        found: dict[tuple[Severity, str], dict[_Spot, Finding]] = {}
        for finding in result.findings:
            spots = found.setdefault((finding.severity, finding.code), {})
            spots.setdefault(_spot(finding), finding)
        for key, spots in found.items():
            self._causes.setdefault(key, _CauseTally()).add(result, spots)

    def report(self) -> Report:
        """Return the counts so far; causes that make events invalid come first."""
        sources = tuple(
            SourceReport(name, each.summary(), each.passed_over, each.problem, each.advice)
            for name, each in self._sources.items()
        )
        causes = [found.cause(*key) for key, found in self._causes.items()]
        causes.sort(key=lambda each: (each.severity, -each.events, each.code))
        return Report(_sum(each.summary for each in sources), sources, tuple(causes))


class _CauseTally:
    """The events that break one rule, by place."""

    def __init__(self) -> None:
        self._events = 0
        self._places: dict[_Spot, Place] = {}

    def add(self, result: DiagnoseResult, spots: Mapping[_Spot, Finding]) -> None:
        """Count *result* once, and once at each of its *spots*."""
        self._events += 1
        for spot, finding in spots.items():
            if spot not in self._places and len(self._places) >= MOST_PLACES:
                spot = (OTHERS, None)
            known = self._places.get(spot)
            self._places[spot] = (
                replace(known, events=known.events + 1)
                if known
                else Place(*spot, 1, result.source, result.row, result.event_id, finding.message)
            )

    def cause(self, severity: Severity, code: str) -> Cause:
        places = sorted(self._places.values(), key=lambda each: (-each.events, each.path))
        return Cause(code, severity, self._events, meaning_of(code), remedy_of(code), tuple(places))


class _SourceTally:
    """The counts of one source."""

    def __init__(self) -> None:
        self.passed_over = 0
        self.problem: Problem | None = None
        self.advice: str | None = None
        self._by_type: Counter[str] = Counter()
        self._categories: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._verdicts: Counter[str] = Counter()
        self._holds: Counter[str] = Counter()
        self._plain = 0  # valid without a finding: most of them

    @property
    def judged(self) -> int:
        return self._plain + self._verdicts.total()

    def add(self, result: DiagnoseResult, hold: str | None = None) -> None:
        """Count one result, and why it cannot leave."""
        if hold is not None:
            self._holds[hold] += 1
        event_type = (result.event_type or NO_TYPE)[:LONGEST_TYPE]
        types = self._by_type
        if event_type not in types and len(types) >= MOST_TYPES:
            event_type = OTHERS
        types[event_type] += 1
        if result.valid and not result.findings:
            self._plain += 1
            return
        self._verdicts[result.verdict] += 1
        self._codes.update({each.code for each in result.findings})
        if result.error_category is not None:
            self._categories[result.error_category] += 1

    def summary(self) -> Summary:
        count = self._verdicts
        return Summary(
            total=self.judged,
            valid=self._plain + count["warnings"],
            warnings=count["warnings"],
            invalid=count["invalid"],
            unreadable=count["unreadable"],
            by_type=_ordered(self._by_type),
            by_category=_ordered(self._categories),
            by_code=_ordered(self._codes),
            by_hold=_ordered(self._holds),
        )


def _spot(finding: Finding) -> _Spot:
    path = _POSITION.sub("/*", finding.path) if finding.path else ""
    return path, finding.value if finding.code in _TURNS_ON_VALUE else None


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    """Return *counts*, the most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _sum(summaries: Iterable[Summary]) -> Summary:
    total = valid = warnings = invalid = unreadable = 0
    types: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    holds: Counter[str] = Counter()
    for each in summaries:
        total, valid = total + each.total, valid + each.valid
        warnings, invalid = warnings + each.warnings, invalid + each.invalid
        unreadable += each.unreadable
        types.update(each.by_type)
        categories.update(each.by_category)
        codes.update(each.by_code)
        holds.update(each.by_hold)
    return Summary(
        total, valid, warnings, invalid, unreadable,
        _ordered(types), _ordered(categories), _ordered(codes), _ordered(holds),
    )  # fmt: skip
