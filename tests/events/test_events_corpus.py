"""The committed corpus and our validator, gates and reducers agree."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from fixture_corpus import ROOT, build

from spec_kitty_sync.errors import AdmissionError
from spec_kitty_sync.events import (
    Event,
    Validator,
    admit,
    dedup_events,
    default_registry,
    reduce_lifecycle_events,
    validate,
)

MANIFEST: dict[str, Any] = json.loads((ROOT / "manifest.json").read_bytes())
SINGLE = [case for case in MANIFEST["cases"] if not case.get("each_line")]
RECORDED = [case for case in MANIFEST["cases"] if case.get("each_line")]
REPLAYS = MANIFEST["replays"]


def body_of(case: dict[str, Any]) -> bytes:
    """Return the bytes of the event that *case* is about."""
    content = (ROOT / case["file"]).read_bytes()
    return content.splitlines()[case["line"] - 1] if "line" in case else content


def test_fixtures_are_what_the_generator_makes() -> None:
    """The committed corpus is exactly what the contract generates today."""
    made = build().files
    stray = [
        path
        for folder in ("events", "replays", "batches")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.relative_to(ROOT).as_posix() not in made
    ]
    differing = [name for name, content in made.items() if (ROOT / name).read_bytes() != content]
    assert differing == []
    assert stray == []


def test_manifest_has_every_type_and_shape_minimal_maximal_and_broken() -> None:
    """Each shape of each event type has a minimal, a maximal and several broken events."""
    ids = [case["id"] for case in MANIFEST["cases"]]
    assert len(ids) == len(set(ids))
    for event_type in default_registry():
        for shape in event_type.shapes:
            name = event_type.name + ("" if len(event_type.shapes) == 1 else f".{shape.name}")
            assert f"valid/{name}.minimal" in ids
            assert f"valid/{name}.maximal" in ids
            assert any(each.startswith(f"invalid/{name}/") for each in ids)


@pytest.mark.parametrize("case", SINGLE, ids=lambda case: case["id"])
def test_corpus_case_gets_its_verdict(case: dict[str, Any], validator: Validator) -> None:
    """An event is valid or not, for the stated reason, at the stated place, named in words."""
    verdict = validator.validate(body_of(case))
    found = [{"code": f.code, "severity": f.severity, "path": f.path} for f in verdict.findings]
    assert verdict.valid == case["valid"]
    if case["valid"]:
        assert found == case["findings"]
        assert verdict.dialect == case.get("dialect", "canonical")
    else:
        assert case["findings"][0] in found
        blamed = verdict.findings[found.index(case["findings"][0])]
        names = [step for step in blamed.path.split("/") if step and not step.isdigit()]
        assert not names or names[-1] in blamed.message


@pytest.mark.parametrize("case", [c for c in SINGLE if "hold" in c], ids=lambda case: case["id"])
def test_raw_bytes_are_admitted_or_held(case: dict[str, Any]) -> None:
    """What is no strict JSON is kept and held where it can be read, and refused where it cannot."""
    body = body_of(case)
    if not case["admitted"]:
        with pytest.raises(AdmissionError):
            admit(body, registry=default_registry())
        return
    assert admit(body, registry=default_registry()).hold == case["hold"]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["id"])
def test_recorded_events_are_valid_in_their_dialect(
    case: dict[str, Any], validator: Validator
) -> None:
    """What released CLIs wrote is valid, and comes back byte for byte."""
    for line in (ROOT / case["file"]).read_bytes().splitlines():
        verdict = validator.validate(line)
        assert verdict.valid, verdict.findings
        assert {f.code for f in verdict.findings} <= {"field_lane", "no_identity"}
        assert Event.from_wire(line).to_wire() == line


def test_core_pack_alone_refuses_field_types_and_lanes() -> None:
    """With the core pack only, field types are unknown and field lanes are errors."""
    core = Validator(default_registry(), packs=frozenset({"core"}))
    for case in SINGLE:
        if case["valid"] and "pack" in case:
            assert core.validate(body_of(case)).valid == (case["pack"] == "core"), case["id"]


def test_strict_demands_the_canonical_dialect() -> None:
    """Strict validation refuses older dialects, absent identity and field lanes."""
    strict = Validator(default_registry(), strict=True)
    for case in (c for c in SINGLE if c["id"].startswith("valid/dialect/")):
        canonical = case["dialect"] == "canonical" and not case["findings"]
        assert strict.validate(body_of(case)).valid == canonical, case["id"]


def test_verdict_on_half_surrogates_can_be_printed(validator: Validator) -> None:
    """Whatever a broken event holds, its verdict is text that any terminal and file takes."""
    broken = rb'{"event_id": "\ud800", "event_type": "\udfff", "payload": {"\udead": 1}, "a": NaN}'
    verdict = validator.validate(broken)
    assert not verdict.valid
    text = f"{verdict.event_id} {verdict.event_type} {verdict.findings}"
    assert "\\ud800" in text.encode().decode()


def test_unknown_type_may_be_allowed() -> None:
    """`allow_unknown` turns the unknown type into a warning and nothing else."""
    case = next(
        c for c in SINGLE if c["findings"][:1] and c["findings"][0]["code"] == "unknown_event_type"
    )
    verdict = validate(body_of(case), registry=default_registry(), allow_unknown=True)
    assert verdict.valid
    assert [(f.code, f.severity) for f in verdict.findings] == [("unknown_event_type", "warning")]


def events_of(replay: dict[str, Any]) -> list[Event]:
    """Return the events of a replay in file order."""
    return [Event.from_wire(line) for line in (ROOT / replay["file"]).read_bytes().splitlines()]


def summary_of(events: list[Event]) -> dict[str, Any]:
    """Return what *events* reduce to, in the words of the expected files."""
    state = reduce_lifecycle_events(events)
    return {
        "mission_status": state.mission_status,
        "current_phase": state.current_phase,
        "phases_entered": list(state.phases_entered),
        "lanes": {wp_id: str(wp.current_lane) for wp_id, wp in state.wp_states.items()},
        "anomalies": [{"event_id": a.event_id, "reason": a.reason} for a in state.anomalies],
    }


@pytest.mark.parametrize("replay", REPLAYS, ids=lambda replay: replay["id"])
@pytest.mark.parametrize("way", ["as written", "reversed", "shuffled", "doubled"])
def test_replay_reduces_to_its_state(replay: dict[str, Any], way: str) -> None:
    """A sequence reduces to its expected state in any order and with duplicates."""
    events = events_of(replay)
    match way:
        case "reversed":
            events.reverse()
        case "shuffled":
            random.Random(replay["id"]).shuffle(events)
        case "doubled":
            events = events + events[::-1]
    expected = json.loads((ROOT / replay["expected"]).read_bytes())
    assert summary_of(events) == expected


def test_real_cli_home_reduces_without_a_skipped_move() -> None:
    """The home that a real CLI 3.0.3 wrote reduces with gaps told and no move skipped."""
    lines = (ROOT / "events/recorded/cli-3.0.3.jsonl").read_bytes().splitlines()
    state = reduce_lifecycle_events(dedup_events([Event.from_wire(line) for line in lines]))
    assert {wp_id: str(wp.current_lane) for wp_id, wp in state.wp_states.items()} == {
        "WP01": "for_review",
        "WP02": "planned",
    }
    assert {anomaly.reason for anomaly in state.anomalies} <= {"gap"}


def test_corpus_readme_explains_every_folder() -> None:
    """The README of the corpus names each folder that the manifest refers to."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    folders = {Path(case["file"]).parent.as_posix() for case in MANIFEST["cases"]}
    folders |= {"replays", "batches"}
    assert [folder for folder in sorted(folders) if folder not in readme] == []
