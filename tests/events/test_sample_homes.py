"""Whole homes that released CLIs wrote: every event gets a verdict, no legal move is skipped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from legacy_homes import extract

from spec_kitty_sync._files import Home
from spec_kitty_sync.errors import SourceError
from spec_kitty_sync.events import (
    Event,
    Validator,
    partition_by_mission,
    reduce_lifecycle_events,
)
from spec_kitty_sync.sync.queue import discover, read_rows

QUEUES = Path(__file__).resolve().parents[2] / "fixtures" / "queues"
UNTOUCHED = {
    "natural-2.1.3": 327,
    "natural-3.1.10": 403,
    "natural-3.2.4": 1036,
    "realcli-3.0.3": 20,
}
CASES = sorted(path.name.removesuffix(".tar.gz") for path in QUEUES.glob("*.tar.gz"))

BAD_ROWS = {
    7: "json_syntax",
    8: "missing",
    9: "not_object",
    10: "json_syntax",
    13: "json_encoding",
    14: "not_object",
    15: "json_number",
    16: "json_duplicate_key",
    17: "wrong_pattern",
    18: "unknown_event_type",
    19: "missing",
    20: "too_large",
    21: "json_surrogate",
    22: "wrong_pattern",
    23: "json_bom",
}


def bodies(case: str, folder: Path) -> list[tuple[int, bytes]]:
    """Return (row, bytes) of every row in every readable source of *case*."""
    extract(case, folder)
    found = []
    for source in discover(Home(folder)):
        try:
            rows = [] if source.problem else list(read_rows(source))
        except SourceError:
            continue
        found.extend((row.row, row.body) for row in rows if row.body is not None)
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_sample_event_gets_a_verdict(case: str, tmp_path: Path, validator: Validator) -> None:
    """Each row is valid, or invalid with findings that say where and why."""
    verdicts = [(row, validator.validate(body)) for row, body in bodies(case, tmp_path)]
    for _, verdict in verdicts:
        assert verdict.valid == all(f.severity == "warning" for f in verdict.findings)
        assert all(f.code and f.message for f in verdict.findings)
    invalid = {row: verdict.findings[0].code for row, verdict in verdicts if not verdict.valid}
    assert invalid == (BAD_ROWS if case == "i-bad-rows" else {})


@pytest.mark.parametrize("case", UNTOUCHED)
def test_what_released_clis_considered_good_is_valid(
    case: str, tmp_path: Path, validator: Validator
) -> None:
    """In an untouched home nothing is invalid or unknown, and only two things are remarked."""
    verdicts = [validator.validate(body) for _, body in bodies(case, tmp_path)]
    assert len(verdicts) == UNTOUCHED[case]
    remarks = Counter(finding.code for verdict in verdicts for finding in verdict.findings)
    assert set(remarks) <= {"field_lane", "no_identity"}


@pytest.mark.parametrize(
    ("case", "reasons"),
    [
        ("natural-2.1.3", {"gap": 100}),
        ("natural-3.1.10", {"gap": 133}),
        ("natural-3.2.4", {"from_lane_mismatch": 138, "after_mission_end": 12}),
        ("realcli-3.0.3", {"gap": 2}),
    ],
)
def test_homes_reduce_without_skipping_a_legal_move(
    case: str, reasons: dict[str, int], tmp_path: Path
) -> None:
    """Queued moves are all applied, over gaps too; 3.2's are skipped only off their from_lane."""
    events = [Event.from_wire(body) for _, body in bodies(case, tmp_path)]
    seen: Counter[str] = Counter()
    for part in partition_by_mission(events).values():
        state = reduce_lifecycle_events(part)
        seen.update(anomaly.reason for anomaly in state.anomalies)
        assert state == reduce_lifecycle_events(part[::-1])
    assert seen == reasons
