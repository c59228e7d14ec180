"""Lanes, transitions, gates, order and merges, as the contract's tables state them."""

from __future__ import annotations

import re
from calendar import isleap
from datetime import date
from itertools import product
from typing import Any

import pytest
from corpus_replays import EVIDENCE, event, event_id, move
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from spec_kitty_sync.errors import ContractError, InvalidEventError
from spec_kitty_sync.events import (
    CyclicDependencyError,
    Dialect,
    ErrorEntry,
    ErrorLog,
    Event,
    InMemoryClockStorage,
    InMemoryEventStore,
    Lane,
    StatusTransitionPayload,
    UnknownConclusionError,
    UnknownLaneError,
    Validator,
    collapse_lane,
    default_registry,
    is_concurrent,
    map_check_run_conclusion,
    merge_counter,
    merge_gset,
    normalize_lane,
    state_machine_merge,
    topological_sort,
    total_order_key,
    validate_transition,
)
from spec_kitty_sync.events.fields import TIMESTAMP_PATTERN

OPEN = ("planned", "claimed", "in_progress", "for_review", "blocked")
LEGAL = {
    (None, "planned"),
    ("planned", "claimed"),
    ("claimed", "in_progress"),
    ("in_progress", "for_review"),
    ("for_review", "done"),
    ("for_review", "in_progress"),
    ("in_progress", "planned"),
    ("blocked", "in_progress"),
    *((lane, "blocked") for lane in OPEN),
    *((lane, "canceled") for lane in OPEN),
}


SEVEN = [lane.value for lane in Lane]
PAIRS = list(product([None, *SEVEN], SEVEN))


def transition(source: str | None, target: str, **more: Any) -> StatusTransitionPayload:
    """Return a transition that has every guard's field, unless *more* says otherwise."""
    fields: dict[str, Any] = {
        "feature_slug": "001-demo",
        "wp_id": "WP01",
        "from_lane": source,
        "to_lane": target,
        "actor": "claude",
        "force": False,
        "reason": "changed plans",
        "execution_mode": "worktree",
        "review_ref": "PR-7",
        "evidence": EVIDENCE,
    }
    return StatusTransitionPayload(**fields | more)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_matrix_allows_exactly_the_listed_moves(source: str | None, target: str) -> None:
    """Every pair of lanes is legal without force exactly when the matrix lists it."""
    assert validate_transition(transition(source, target)).valid == ((source, target) in LEGAL)


GUARDS = {
    ("for_review", "done"): "evidence",
    ("for_review", "in_progress"): "review_ref",
    ("in_progress", "planned"): "reason",
}


@pytest.mark.parametrize(("source", "target"), sorted(LEGAL, key=str))
def test_legal_move_needs_its_guard_and_nothing_more(source: str | None, target: str) -> None:
    """Each listed move is legal with the field of its row alone, and illegal without it."""
    every = ("reason", "review_ref", "evidence")
    needed = GUARDS.get((source or "", target))
    bare: dict[str, Any] = {name: None for name in every if name != needed}
    assert validate_transition(transition(source, target, **bare)).valid
    if needed in ("review_ref", "reason"):
        assert not validate_transition(transition(source, target, **bare | {needed: None})).valid


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_force_allows_every_pair(source: str | None, target: str) -> None:
    """Force with actor and reason allows every move, out of terminal lanes too."""
    assert validate_transition(transition(source, target, force=True)).valid


@pytest.mark.parametrize(
    ("source", "target", "without", "words"),
    [
        ("for_review", "in_progress", "review_ref", "review_ref"),
        ("in_progress", "planned", "reason", "reason"),
    ],
)
def test_guard_names_what_is_missing(source: str, target: str, without: str, words: str) -> None:
    """A move that lacks what its row demands is refused in words."""
    result = validate_transition(transition(source, target, **{without: None}))
    assert not result.valid
    assert words in " ".join(result.violations)


def test_guards_hold_for_payloads_made_without_validation() -> None:
    """A payload that dodged validation is still judged, and judging never raises."""
    payload = StatusTransitionPayload.model_construct(
        from_lane="for_review", to_lane="done", force=True, actor="", reason="", evidence=None
    )
    assert len(validate_transition(payload).violations) == 3


def test_transition_payload_refuses_aliases_and_field_lanes() -> None:
    """The shape we write knows the seven lanes only."""
    for lane in ("doing", "approved", "genesis", "DONE", ""):
        with pytest.raises(ValidationError):
            transition("planned", lane)


def test_only_done_needs_evidence_before_a_stored_event_is_valid(validator: Validator) -> None:
    """A released CLI's move to `approved` is valid without evidence; one to `done` is not."""
    for target, errors in (("approved", []), ("in_review", []), ("done", ["evidence_missing"])):
        moved = move(1, 1, "for_review", target, evidence=None)
        findings = validator.validate_parsed(moved).findings
        assert [f.code for f in findings if f.severity == "error"] == errors


@pytest.mark.parametrize(("strict", "severity"), [(False, "warning"), (True, "error")])
def test_field_lane_is_a_warning_and_with_strict_an_error(strict: bool, severity: str) -> None:
    """A lane of released CLIs is remarked; the strict reader refuses it."""
    moved = move(1, 1, "for_review", "approved")
    verdict = Validator(default_registry(), strict=strict).validate_parsed(moved)
    assert [(f.code, f.severity) for f in verdict.findings] == [("field_lane", severity)]
    assert verdict.valid is not strict


def test_lanes_collapse_to_four() -> None:
    """The 7→4 table, field lanes included; a lane it lacks is an error."""
    table = {
        "planned": "planned",
        "claimed": "doing",
        "in_progress": "doing",
        "for_review": "for_review",
        "done": "done",
        "blocked": "doing",
        "canceled": "done",
        "approved": "done",
        "in_review": "for_review",
        "genesis": "planned",
    }
    assert {lane: collapse_lane(lane) for lane in table} == table
    assert collapse_lane(Lane.CLAIMED) == "doing"
    for lane in ("doing", "", "DONE"):
        with pytest.raises(UnknownLaneError, match="no lane"):
            collapse_lane(lane)


def test_aliases_are_resolved_in_calls() -> None:
    """`doing` means in_progress where people type lanes; anything else unknown is refused."""
    assert normalize_lane("doing") is Lane.IN_PROGRESS
    assert normalize_lane("done") is normalize_lane(Lane.DONE) is Lane.DONE
    for lane in ("approved", "Done", ""):
        with pytest.raises(UnknownLaneError):
            normalize_lane(lane)


def test_check_run_conclusions_map_to_gates() -> None:
    """Success passes, four conclusions fail, three decide nothing, others are refused."""
    assert map_check_run_conclusion("success") == "GatePassed"
    for failing in ("failure", "timed_out", "cancelled", "action_required"):
        assert map_check_run_conclusion(failing) == "GateFailed"
    for idle in ("neutral", "skipped", "stale"):
        assert map_check_run_conclusion(idle) is None
    with pytest.raises(UnknownConclusionError):
        map_check_run_conclusion("SUCCESS")


@settings(max_examples=100, deadline=None)
@given(
    year=st.integers(0, 9999),
    month=st.integers(0, 13),
    day=st.integers(0, 32),
    offset=st.sampled_from(["Z", "+00:00", "-00:00", "+23:59", "-14:00"]),
    fraction=st.sampled_from(["", ".1", ".123456789"]),
)
def test_timestamp_is_a_real_date(
    year: int, month: int, day: int, offset: str, fraction: str
) -> None:
    """The pattern of timestamps takes exactly the days that the calendar has."""
    text = f"{year:04}-{month:02}-{day:02}T09:30:59{fraction}{offset}"
    try:
        date(year, month, day)
        real = True
    except ValueError:
        real = False
    assert (re.search(TIMESTAMP_PATTERN, text) is not None) == real


@pytest.mark.parametrize("year", [1900, 1996, 2000, 2024, 2026, 2100, 2400, 4, 100, 400, 0])
def test_timestamp_knows_leap_years(year: int) -> None:
    """The 29th of February exists in leap years only."""
    real = year > 0 and isleap(year)
    assert (re.search(TIMESTAMP_PATTERN, f"{year:04}-02-29T00:00:00Z") is not None) == real


def made(number: int, clock: int = 1, **changes: Any) -> Event:
    """Return event *number* with *changes*."""
    return Event.from_wire(event(number, clock, "Note", {"wp_id": "WP01"}) | changes)


def test_concurrency_is_equal_clock_on_one_aggregate() -> None:
    """Two events are concurrent when clock and aggregate are equal and the ids differ."""
    assert is_concurrent(made(1), made(2))
    assert not is_concurrent(made(1), made(1))
    assert not is_concurrent(made(1), made(2, clock=2))
    assert not is_concurrent(made(1), made(2, aggregate_id="WP02"))
    assert not is_concurrent(made(1), made(2, aggregate_type="Mission"))


def test_total_order_ends_with_the_id() -> None:
    """Clock, node, id: no two events are equal."""
    assert total_order_key(made(1)) == (1, "a1b2c3d4e5f6", event_id(1))


def test_topological_sort_puts_parents_first() -> None:
    """Parents come before children, unknown parents are roots, ties go by total order."""
    child = made(1, clock=1, causation_id=event_id(3))
    orphan = made(2, clock=2, causation_id=event_id(99))
    parent = made(3, clock=3)
    ordered = topological_sort([child, parent, orphan, child])
    assert [each.event_id for each in ordered] == [event_id(2), event_id(3), event_id(1)]


def test_topological_sort_orders_siblings_by_total_order() -> None:
    """A child waits for its parent, then takes its place in total order among what is ready."""
    parent, late = made(1, clock=1), made(2, clock=9, causation_id=event_id(1))
    early, other = made(3, clock=2, causation_id=event_id(1)), made(4, clock=5)
    for events in ([late, other, early, parent], [parent, early, other, late]):
        clocks = [each.lamport_clock for each in topological_sort(events)]
        assert clocks == [1, 2, 5, 9]


def test_topological_sort_names_the_circle() -> None:
    """A circle is an error that names its ids, and only those."""
    events = [
        made(1, causation_id=event_id(2)),
        made(2, causation_id=event_id(1)),
        made(3, causation_id=event_id(2)),
        made(4),
    ]
    with pytest.raises(CyclicDependencyError, match=event_id(1)) as caught:
        topological_sort(events)
    assert caught.value.facts["event_ids"] == [event_id(1), event_id(2)]


def test_merges_do_not_depend_on_order_or_repetition() -> None:
    """Sets unite, counters add each id once; nonsense adds nothing."""
    events = [
        made(1, payload={"tags": ["a", "b"], "delta": 2}),
        made(2, payload={"tags": ["b", 7, None], "delta": -5}),
        made(3, payload={"tags": "abc", "delta": True}),
        made(4, payload={}),
    ]
    assert merge_gset(events + events) == merge_gset(events[::-1]) == {"a", "b"}
    assert merge_counter(events + events) == merge_counter(events[::-1]) == -3
    twice = [made(1, payload={"delta": 5}), made(1, payload={"delta": 2})]
    assert merge_counter(twice) == merge_counter(twice[::-1]) == 2


def test_state_machine_merge_takes_the_highest_priority() -> None:
    """The state of highest priority stands; ties and unknown states ask for a person."""
    low, high = made(1, payload={"state": "open"}), made(2, payload={"state": "closed"})
    rank = {"open": 1, "closed": 2, "void": 2}
    clear = state_machine_merge([high, low], rank)
    assert (clear.merged_event, clear.requires_manual_review) == (high, False)
    assert clear.conflicting_events == (low, high)
    tie = state_machine_merge([made(3, payload={"state": "void"}), high], rank)
    assert tie.requires_manual_review
    assert tie.merged_event == high
    assert "void" in tie.resolution_note
    unknown = state_machine_merge([low, made(4, payload={"state": "lost"})], rank)
    assert unknown.merged_event == low
    assert unknown.requires_manual_review
    with pytest.raises(ContractError):
        state_machine_merge([], rank)


def test_stores_in_memory_keep_their_ports_promises() -> None:
    """An event is kept once, a clock never goes back, errors come newest first."""
    store = InMemoryEventStore()
    for each in (made(2, clock=2), made(1), made(1, clock=9), made(3, aggregate_id="WP02")):
        store.save_event(each)
    assert [each.event_id for each in store.load_events("WP01")] == [event_id(1), event_id(2)]
    assert len(store.load_all_events()) == 3
    clocks = InMemoryClockStorage()
    clocks.save("n", 5)
    clocks.save("n", 3)
    assert (clocks.load("n"), clocks.load("other")) == (5, 0)
    log = ErrorLog()
    for number in range(3):
        log.log_error(ErrorEntry("2026-03-01T09:30:00Z", "test", f"error {number}"))
    assert [each.error_message for each in log.get_recent_errors(2)] == ["error 2", "error 1"]
    assert log.get_recent_errors(0) == log.get_recent_errors(-2) == []


def test_event_gives_back_its_bytes() -> None:
    """Bytes in, the same bytes out; a dict in, compact JSON in its key order; no defaults."""
    given = {"payload": {"z": 1.0, "a": "é"}, **event(1, 1, "Note", {"wp_id": "WP01"})}
    given["payload"] = {"z": 1.0, "a": "é"}
    body = b' { "extra" : 1, ' + Event.from_wire(given).to_wire()[1:]
    assert Event.from_wire(body).to_wire() == body
    assert Event.from_wire(given).to_wire().startswith('{"payload":{"z":1.0,"a":"é"},'.encode())
    made_by_call = Event(**given)
    assert made_by_call == Event.from_wire(given)
    assert b"data_tier" not in made_by_call.to_wire()
    given["payload"]["z"] = 2
    assert Event.from_wire(body).payload["z"] == 1.0


def test_event_made_by_call_keeps_the_bytes_it_was_made_with() -> None:
    """Changing what was passed as payload changes nothing of what goes out."""
    payload: dict[str, Any] = {"notes": ["first"]}
    one = Event(**event(1, 1, "Note", {}) | {"payload": payload})
    before = one.to_wire()
    payload["notes"].append("second")
    assert one.to_wire() == before


def test_copy_with_an_update_writes_the_update() -> None:
    """A plain copy gives back the bytes that were read; a changed one says what was changed."""
    body = b" " + made(1).to_wire()
    read = Event.from_wire(body)
    assert read.model_copy().to_wire() == body
    changed = read.model_copy(update={"lamport_clock": 99})
    assert Event.from_wire(changed.to_wire()).lamport_clock == 99
    assert read.to_wire() == body


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"payload": {"n": 1}}, {"payload": {"n": True}}),
        ({"payload": {"n": 1}}, {"payload": {"n": 1.0}}),
        ({}, {"team_slug": None}),
        ({}, {"schema_version": "1.0.0"}),
        ({"extra": 0}, {"extra": False}),
    ],
)
def test_events_are_equal_when_their_content_is(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Key order and spacing do not count; 1, 1.0 and true, null and absent are different."""
    assert made(1, **one) != made(1, **other)
    fields = event(1, 1, "Note", {"wp_id": "WP01"}) | one
    reordered = dict(reversed(fields.items()))
    assert Event.from_wire(reordered) == made(1, **one)
    assert len({made(1, **one), Event.from_wire(reordered), made(1, **other)}) == 2


def test_event_is_frozen_and_canonical_when_made_by_call() -> None:
    """An event cannot be changed; made by call it needs correlation and project."""
    fields = event(1, 1, "Note", {"wp_id": "WP01"})
    one = Event(**fields)
    with pytest.raises(ValidationError):
        one.lamport_clock = 2
    for name in ("correlation_id", "project_uuid"):
        without = {key: value for key, value in fields.items() if key != name}
        with pytest.raises(ValidationError, match=name):
            Event(**without)
    identity = {key: value for key, value in fields.items() if key != "correlation_id"}
    assert Event.from_wire(identity).dialect is Dialect.IDENTITY


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"schema_version": "2.0.0"}, "/schema_version"),
        ({"lamport_clock": True}, "/lamport_clock"),
        ({"lamport_clock": -1}, "/lamport_clock"),
        ({"timestamp": "2026-03-01T09:30:00"}, "/timestamp"),
        ({"event_id": "x"}, "/event_id"),
        ({"payload": []}, "/payload"),
    ],
)
def test_event_refuses_a_broken_envelope_by_name(changes: dict[str, Any], path: str) -> None:
    """A broken envelope is refused with a finding for each field."""
    with pytest.raises(InvalidEventError) as caught:
        Event.from_wire(move(1, 1, None, "planned") | changes)
    assert [finding.path for finding in caught.value.facts["findings"]] == [path]
