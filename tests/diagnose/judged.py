"""Events and sources in memory for tests of the judging core."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from spec_kitty_sync.diagnose import DiagnoseResult, Diagnosis, Report, Row, Rules
from spec_kitty_sync.errors import SpecKittyError
from spec_kitty_sync.events.registry import default_registry


def event(number: int = 1, **changes: object) -> dict[str, object]:
    """Return a valid canonical event; a change to None leaves the field out."""
    made: dict[str, object] = {
        "event_id": f"01KA0000000000000000{number:06d}",
        "event_type": "HistoryAdded",
        "aggregate_id": "WP01",
        "aggregate_type": "WorkPackage",
        "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": "x"},
        "timestamp": "2026-02-12T10:00:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": number,
        "correlation_id": "01KA0000000000000000000000",
        "project_uuid": "550e8400-e29b-41d4-a716-446655440000",
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def body(number: int = 1, **changes: object) -> bytes:
    return json.dumps(event(number, **changes)).encode()


@dataclass
class Given:
    """A source that holds *bodies*; one that fails does so after them."""

    name: str
    bodies: Iterable[bytes | Row]
    failure: SpecKittyError | None = None
    passed_over: int = 0
    position: None = field(default=None, init=False)
    advice: str | None = None

    def rows(self) -> Iterator[Row]:
        for number, each in enumerate(self.bodies, start=1):
            yield each if isinstance(each, Row) else Row(self.name, number, each)
        if self.failure is not None:
            raise self.failure


def diagnose(*sources: Given, rules: Rules | None = None) -> tuple[list[DiagnoseResult], Report]:
    """Return the results and the report of *sources*."""
    validator = (rules or Rules()).validator(default_registry())
    diagnosis = Diagnosis(sources, validator.validate)
    return list(diagnosis.results()), diagnosis.report()


def judged(row: bytes | Row, rules: Rules | None = None) -> DiagnoseResult:
    """Return the result of the only row of a source."""
    ((result,), _) = diagnose(Given("a.jsonl", [row]), rules=rules)
    return result
