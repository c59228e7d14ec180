"""Bytes go only when asked, only where allowed, and rows stay."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.targets import Target, TargetRegistry
from spec_kitty_sync.errors import SourceError, UsageError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.event_journal.models import Appended, Removal
from spec_kitty_sync.event_journal.retention import Retention

_SETTLED = """
INSERT INTO delivery_ledger (target_id, epoch, seq, state) VALUES (?, ?, ?, ?)
"""


@pytest.fixture
def journal(store, clock) -> SqliteJournal:
    return SqliteJournal(store, clock=clock, delivery=SqliteDeliveryFacts(store))


@pytest.fixture
def retention(store, journal, clock) -> Retention:
    return Retention(store, journal, clock=clock)


@pytest.fixture
def targets(store, clock) -> TargetRegistry:
    return TargetRegistry(store, clock=clock)


def settle(store, target: Target, seqs: Iterable[int], state: str = "delivered") -> None:
    with store.transaction() as conn:
        conn.executemany(_SETTLED, ((target.target_id, target.epoch, seq, state) for seq in seqs))


def kept(journal) -> list[int]:
    return [record.seq for record in journal.read() if record.body is not None]


def test_without_a_target_nothing_goes(journal, retention, make_event):
    """Nobody has the events, so gc takes none."""
    journal.append_many([make_event() for _ in range(3)])
    assert retention.preview("delivered").events == 0
    assert retention.collect("delivered").events == 0
    assert kept(journal) == [1, 2, 3]


def test_only_what_every_active_target_has_goes(store, journal, retention, targets, make_event):
    """With two active targets an event goes when both have it."""
    journal.append_many([make_event() for _ in range(4)])
    one = targets.ensure("https://a.example.invalid")
    two = targets.ensure("https://b.example.invalid")
    settle(store, one, [1, 2, 3])
    settle(store, two, [2, 3])
    settle(store, two, [1], "rejected")
    assert retention.preview("delivered").events == 2
    assert retention.collect("delivered").events == 2
    assert kept(journal) == [1, 4]


def test_a_dead_target_blocks_until_it_is_retired(store, journal, retention, targets, make_event):
    """A target that never answered holds everything back; retiring it is the way out."""
    journal.append_many([make_event() for _ in range(2)])
    dead = targets.ensure("http://127.0.0.1:9")
    live = targets.ensure("https://a.example.invalid")
    settle(store, live, [1, 2])
    assert retention.collect("delivered").events == 0
    targets.retire(dead.target_id)
    assert retention.collect("delivered").events == 2


def test_a_retired_target_alone_vouches_for_its_deliveries(
    store, journal, retention, targets, make_event
):
    """With only a retired target, what it has may go; what it lacks stays."""
    journal.append_many([make_event() for _ in range(2)])
    old = targets.ensure("https://a.example.invalid")
    settle(store, old, [1])
    targets.retire(old.target_id)
    assert retention.collect("delivered").events == 1
    assert kept(journal) == [2]


def test_local_superseded_and_dead_go_only_by_name(store, journal, retention, targets, make_event):
    """Each kind that is never delivered is taken only when it is named."""
    journal.append_many([make_event(data_tier=0), make_event(), make_event()])
    target = targets.ensure("https://a.example.invalid")
    settle(store, target, [2])
    settle(store, target, [3], "dead_letter")
    assert retention.collect("delivered").events == 1
    assert kept(journal) == [1, 3]
    assert retention.collect("dead").events == 1
    assert kept(journal) == [1]
    assert retention.collect("local_only").events == 1
    assert kept(journal) == []


def test_age_limits_what_goes(store, journal, retention, targets, clock, make_event):
    """`older_than_s` spares younger events."""
    journal.append(make_event())
    clock.advance(3600)
    journal.append(make_event())
    settle(store, targets.ensure("https://a.example.invalid"), [1, 2])
    assert retention.preview("delivered", older_than_s=1800).events == 1
    assert retention.collect("delivered", older_than_s=1800).events == 1
    assert kept(journal) == [2]


def test_a_collected_event_keeps_its_identity(store, journal, retention, targets, make_event):
    """After gc the row, its number and its content's hash are there; its id stays taken."""
    event = make_event()
    journal.append(event)
    settle(store, targets.ensure("https://a.example.invalid"), [1])
    retention.collect("delivered")
    record = journal.get(event.event_id)
    assert (record.seq, record.removed, record.body_bytes) == (1, "collected", len(event.body))
    reordered = json.dumps(json.loads(event.body), sort_keys=True).encode()
    assert journal.append(event._replace(body=reordered)).inserted is False
    other = make_event(event_id=event.event_id, lamport_clock=99)
    assert journal.append_many([other])[0].outcome is Appended.CONFLICT


def test_counts_follow_what_goes(store, journal, retention, targets, make_event):
    """The maintained counts equal a recount before and after gc."""
    journal.append_many([make_event() for _ in range(5)])
    settle(store, targets.ensure("https://a.example.invalid"), [1, 2])
    retention.collect("delivered")
    groups = {group.removed: (group.events, group.bytes) for group in journal.counts()}
    rows = store.conn.execute(
        "SELECT removed, count(*), sum(body_bytes) FROM event_journal GROUP BY removed"
    )
    assert groups == {removed: (n, size) for removed, n, size in rows}
    assert journal.oldest_retained()[0] == "2026-02-12T10:00:00Z"


def test_archive_exports_before_it_takes(store, journal, retention, targets, make_event, tmp_path):
    """Each archived event is one line of the export, byte for byte, and gone from the journal."""
    events = [make_event() for _ in range(3)]
    journal.append_many(events)
    settle(store, targets.ensure("https://a.example.invalid"), [1, 2])
    done = retention.archive(tmp_path / "a.jsonl.gz")
    lines = gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).splitlines()
    assert lines == [event.body for event in events[:2]]
    assert (done.events, kept(journal)) == (2, [3])
    assert journal.get(events[0].event_id).removed == "archived"


def test_archive_overwrites_nothing(store, journal, retention, targets, make_event, tmp_path):
    """An existing export is left alone and no event goes."""
    journal.append(make_event())
    settle(store, targets.ensure("https://a.example.invalid"), [1])
    target: Path = tmp_path / "a.jsonl.gz"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        retention.archive(target)
    assert target.read_text() == "precious"
    assert kept(journal) == [1]


def test_archive_that_cannot_be_written_takes_nothing(
    store, journal, retention, targets, make_event, tmp_path
):
    """When the export fails, every body stays."""
    journal.append(make_event())
    settle(store, targets.ensure("https://a.example.invalid"), [1])
    with pytest.raises(Exception, match="no-such-folder"):
        retention.archive(tmp_path / "no-such-folder" / "a.jsonl.gz")
    assert kept(journal) == [1]


def test_verify_finds_a_flipped_byte(store, journal, retention, make_event):
    """A stored body whose bytes changed is named; sound ones are not."""
    events = [make_event() for _ in range(3)]
    journal.append_many(events)
    body = bytearray(events[1].body)
    body[-5] ^= 1
    with store.transaction() as conn:
        conn.execute("UPDATE event_journal SET body = ? WHERE seq = 2", (bytes(body),))
    assert [(bad.seq, bad.event_id) for bad in retention.verify()] == [(2, events[1].event_id)]


def test_vacuum_gives_space_back(store, journal, retention, targets, make_event):
    """After gc and vacuum the file is smaller and every kept event still reads the same."""
    events = [make_event(filler="x" * 20_000) for _ in range(60)]
    journal.append_many(events)
    settle(store, targets.ensure("https://a.example.invalid"), range(1, 60))
    retention.collect("delivered")
    store.checkpoint()
    assert retention.vacuum() > 500_000
    assert journal.get(events[-1].event_id).body == events[-1].body


def test_archive_leaves_a_damaged_event_where_it_is(
    store, journal, retention, targets, make_event, tmp_path
):
    """Bytes that differ from their hash are neither exported nor removed; the others go."""
    events = [make_event() for _ in range(3)]
    journal.append_many(events)
    settle(store, targets.ensure("https://a.example.invalid"), [1, 2, 3])
    with store.transaction() as conn:
        conn.execute("UPDATE event_journal SET body = x'00' WHERE seq = 2")
    done = retention.archive(tmp_path / "a.jsonl.gz")
    lines = gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).splitlines()
    assert lines == [events[0].body, events[2].body]
    assert (done.events, kept(journal)) == (2, [2])


def test_archive_reads_its_export_back(
    store, journal, retention, targets, make_event, tmp_path, monkeypatch
):
    """An export that is not on the disk as it was written takes no event and is removed."""
    journal.append_many([make_event() for _ in range(3)])
    settle(store, targets.ensure("https://a.example.invalid"), [1, 2, 3])
    target: Path = tmp_path / "a.jsonl.gz"
    # A disk that gives back three sound lines, but not those that were written.
    monkeypatch.setattr("os.fsync", lambda _: target.write_bytes(gzip.compress(b"{}\n" * 3)))
    with pytest.raises(SourceError, match="nothing was removed"):
        retention.archive(target)
    monkeypatch.undo()
    assert kept(journal) == [1, 2, 3]
    assert not target.exists()


def test_gc_counts_what_it_took(store, journal, retention, targets, make_event):
    """An event that stopped being eligible stays, and neither number includes it."""
    events = [make_event() for _ in range(3)]
    journal.append_many(events)
    settle(store, targets.ensure("https://a.example.invalid"), [1, 2, 3])
    chunks = retention._eligible("delivered", 2**62)
    rows = next(chunks)
    with store.transaction() as conn:
        conn.execute("UPDATE delivery_ledger SET state = 'rejected' WHERE seq = 2")
        taken = retention._clear(
            conn, [row[0] for row in rows], Removal.COLLECTED, "delivered", None
        )
    assert taken == (2, len(events[0].body) + len(events[2].body))
    assert kept(journal) == [2]


def test_gc_takes_nothing_that_is_being_redelivered(store, journal, retention, targets, make_event):
    """In a new epoch nothing counts as delivered: its bytes are needed once more."""
    journal.append_many([make_event() for _ in range(2)])
    target = targets.ensure("https://a.example.invalid")
    settle(store, target, [1, 2])
    again = targets.start_epoch(target.target_id, reason="redeliver")
    assert retention.collect("delivered").events == 0
    settle(store, again, [2])
    assert retention.collect("delivered").events == 1
    assert kept(journal) == [1]
