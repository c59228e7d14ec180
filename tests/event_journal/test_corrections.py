"""Holds, replacement and discard: what may change beside an event, and what stays for good."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from spec_kitty_sync.errors import ContractError, EventConflictError, InvalidEventError
from spec_kitty_sync.event_journal.corrections import Corrections
from spec_kitty_sync.event_journal.journal import SqliteJournal


class Told:
    """Delivery facts as a test states them."""

    def __init__(self) -> None:
        self.accepted: set[int] = set()
        self.claimed: set[int] = set()
        self.reopened: list[int] = []

    def untouched(self, seqs: Sequence[int]) -> set[int]:
        return set(seqs) - self.claimed - self.accepted

    def unaccepted(self, seqs: Sequence[int]) -> set[int]:
        return set(seqs) - self.accepted

    def objection(self, seq: int) -> tuple[str, str] | None:
        return ("target 7 has accepted it", "Emit another.") if seq in self.accepted else None

    def reopen(self, seqs: Sequence[int], *, held_only: bool = False) -> None:
        self.reopened.extend(seqs)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def journal(store, clock, told) -> SqliteJournal:
    return SqliteJournal(store, clock=clock, delivery=told)


@pytest.fixture
def corrections(store, journal, clock, told) -> Corrections:
    return Corrections(store, journal, delivery=told, clock=clock)


def counted(journal) -> dict[tuple[str | None, str | None, bool], int]:
    return {(g.hold, g.removed, g.superseded): g.events for g in journal.counts()}


def test_hold_marks_events_and_release_lets_them_go(journal, corrections, told, make_event):
    """A held event is counted under its reason; released, it is open again."""
    event = make_event()
    seq = journal.append(event).seq
    assert corrections.hold([event.event_id], "migration_conflict", "two sources") == 1
    assert journal.get(event.event_id).hold == "migration_conflict"
    assert counted(journal) == {("migration_conflict", None, False): 1}
    assert corrections.release([event.event_id]) == 1
    assert journal.get(event.event_id).hold is None
    assert counted(journal) == {(None, None, False): 1}
    assert told.reopened == [seq]


def test_hold_leaves_an_accepted_event_alone(journal, corrections, told, make_event):
    """What a target has accepted is never held back afterwards."""
    event = make_event()
    told.accepted.add(journal.append(event).seq)
    assert corrections.hold([event.event_id], "migration_conflict") == 0
    assert journal.get(event.event_id).hold is None


def test_replace_keeps_the_old_bytes_in_the_audit(journal, corrections, told, make_event):
    """A replaced event has its new bytes under its old id and number; the old ones are kept."""
    old = make_event(project_uuid=None)
    seq = journal.append(old).seq
    assert journal.get(old.event_id).hold == "no_identity"
    new = make_event(event_id=old.event_id)
    record = corrections.replace(new, reason="gave it an identity")
    assert (record.seq, record.body, record.hold) == (seq, new.body, None)
    (entry,) = corrections.audit()
    assert (entry.action, entry.reason, entry.old_body) == (
        "replace",
        "gave it an identity",
        old.body,
    )
    assert told.reopened == [seq]
    assert counted(journal) == {(None, None, False): 1}


def test_replace_refuses_what_cannot_leave_either(journal, corrections, make_event):
    """A replacement passes the wire gate or is refused, and the stored event stays."""
    old = make_event()
    journal.append(old)
    with pytest.raises(InvalidEventError, match="no_identity"):
        corrections.replace(make_event(event_id=old.event_id, project_uuid=None), reason="x")
    assert journal.get(old.event_id).body == old.body


@pytest.mark.parametrize("action", ["replace", "discard"])
def test_an_accepted_event_is_not_changed(journal, corrections, told, make_event, action):
    """Once a target has accepted an event, neither replace nor discard touches it."""
    event = make_event()
    told.accepted.add(journal.append(event).seq)
    subject = {
        "replace": make_event(event_id=event.event_id, lamport_clock=5),
        "discard": event.event_id,
    }[action]
    with pytest.raises(EventConflictError, match="target 7 has accepted it"):
        getattr(corrections, action)(subject, reason="x")
    assert journal.get(event.event_id).body == event.body
    assert corrections.audit() == ()


def test_discard_removes_bytes_and_keeps_row_and_reason(journal, corrections, make_event):
    """A discarded event keeps id, number and hash; its id stays taken by its old content."""
    event = make_event()
    seq = journal.append(event).seq
    corrections.discard(event.event_id, reason="typed by mistake")
    record = journal.get(event.event_id)
    assert (record.seq, record.body, record.removed) == (seq, None, "discarded")
    assert corrections.audit()[0].reason == "typed by mistake"
    assert journal.append(event).inserted is False
    with pytest.raises(EventConflictError):
        journal.append(make_event(event_id=event.event_id, lamport_clock=7))


def test_discard_twice_says_that_nothing_is_left(journal, corrections, make_event):
    """A second discard is refused, saying why."""
    event = make_event()
    journal.append(event)
    corrections.discard(event.event_id, reason="x")
    with pytest.raises(ContractError, match="discarded"):
        corrections.discard(event.event_id, reason="x")


def test_an_unknown_event_is_named(corrections):
    """Correcting an id that is not stored names the id."""
    with pytest.raises(ContractError, match="01ARZ3NDEKTSV4RRFFQ69G5FAV"):
        corrections.discard("01ARZ3NDEKTSV4RRFFQ69G5FAV", reason="x")


def snapshot(make_event, number: int):
    return make_event(
        event_type="MissionDossierSnapshotComputed",
        aggregate_type="MissionDossier",
        aggregate_id=f"001-x:{number}",
        payload={
            "namespace": {"project_uuid": "550e8400-e29b-41d4-a716-446655440000",
                          "mission_slug": "001-x"},
            "snapshot_hash": "0" * 64, "artifact_count": number, "anomaly_count": 0,
            "computed_at": "2026-02-12T10:00:00Z", "algorithm": "sha256",
        },
    )  # fmt: skip


def test_a_newer_snapshot_supersedes_one_that_nobody_was_told_of(journal, make_event):
    """Coalescing appends the new event and marks the older one; no byte of it changes."""
    first, second = snapshot(make_event, 1), snapshot(make_event, 2)
    if first.coalesce_identity is None:
        pytest.fail("the snapshot type has no coalesce identity")
    journal.append(first)
    new = journal.append(second)
    old = journal.get(first.event_id)
    assert (old.superseded_by, old.body) == (new.seq, first.body)
    assert journal.get(second.event_id).superseded_by is None
    assert counted(journal) == {(None, None, True): 1, (None, None, False): 1}


def test_a_claimed_snapshot_is_never_superseded(journal, told, make_event):
    """An event that was ever claimed for a target stays as it is."""
    first, second = snapshot(make_event, 1), snapshot(make_event, 2)
    told.claimed.add(journal.append(first).seq)
    journal.append(second)
    assert journal.get(first.event_id).superseded_by is None


def test_other_types_never_coalesce(journal, make_event):
    """Two events of a core type about one thing are both kept and both open."""
    first, second = make_event(), make_event()
    journal.append_many([first, second])
    assert counted(journal) == {(None, None, False): 2}
