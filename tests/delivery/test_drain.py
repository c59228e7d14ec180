"""What a drain promises when the receiver behaves, or refuses single events."""

from __future__ import annotations

from spec_kitty_sync.conformance.stub import each, per_event, refuse, rejected, result
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.event_journal.corrections import Corrections
from spec_kitty_sync.sync.store import open_home


def test_drain_delivers_everything_once_in_journal_order(bench, stub):
    """All events arrive in the order of the journal, and a second drain posts nothing."""
    ids = bench.append(25)
    report = bench.drain(stub.url, batch=10)
    assert stub.seen_ids == ids
    assert (report.selected, report.delivered, report.requests) == (25, 25, 3)
    assert set(bench.states(stub.url).values()) == {"delivered"}
    assert bench.drain(stub.url).requests == 0
    assert len(stub.requests) == 3


def test_drain_sends_the_stored_bytes(bench, stub):
    """The body on the wire is the stored bytes, joined and nothing else."""
    ids = bench.append(3)
    bench.drain(stub.url)
    stored = [bench.journal.get(event_id).body for event_id in ids]
    assert stub.requests[0].raw == b'{"events":[' + b",".join(stored) + b"]}"
    assert stub.requests[0].path == "/api/v1/events/batch/"
    assert stub.requests[0].headers["Accept-Encoding"] == "identity"
    assert stub.requests[0].headers["X-Spec-Kitty-Sync-Protocol"] == "1.0"


def test_drain_counts_duplicates_as_delivered(bench, stub):
    """A receiver that has an event already makes it delivered, counted apart."""
    ids = bench.append(3)
    stub.know(ids[1])
    report = bench.drain(stub.url)
    assert (report.delivered, report.duplicates) == (2, 1)
    assert bench.rows(stub.url)[ids[1]] == ("delivered", "duplicate")


def test_rejected_event_is_tried_by_five_drains_then_parked(bench, stub):
    """A rejected event is sent by five drains in all; then it is a dead letter and rests."""
    bad, good = bench.append(2)
    stub.always(per_event({bad: rejected("to_lane is missing")}))
    for round_ in range(1, 6):
        report = bench.drain(stub.url)
        assert (report.rejected, report.dead) == ((1, 0) if round_ < 5 else (0, 1))
    assert bench.rows(stub.url) == {
        bad: ("dead_letter", "schema_mismatch"),
        good: ("delivered", ""),
    }
    assert bench.drain(stub.url).requests == 0
    (group,) = report.failures
    assert (group.reason, group.count, group.example_ids) == ("to_lane is missing", 1, (bad,))


def test_pending_event_is_asked_again_after_its_time(bench, stub):
    """`pending` is no failure: asked again after 30 s, then after twice as long."""
    (event,) = bench.append()
    stub.next(each(result("queued")), each(result("pending")))
    assert bench.drain(stub.url).pending == 1
    assert bench.drain(stub.url).selected == 0
    bench.clock.advance(31)
    assert bench.drain(stub.url).pending == 1
    bench.clock.advance(31)
    assert bench.drain(stub.url).selected == 0
    bench.clock.advance(31)
    assert bench.drain(stub.url).delivered == 1
    assert bench.states(stub.url) == {event: "delivered"}


def test_open_events_behind_a_held_one_go_before_newer_ones(bench, stub):
    """Where a stopped run left events open and the first is held since, the order stays."""
    ids = bench.append(3)
    stub.next(refuse(400))
    assert bench.drain(stub.url, batch=1).stop is not None
    stub.requests.clear()
    facts = SqliteDeliveryFacts(bench.store)
    corrections = Corrections(bench.store, bench.journal, delivery=facts, clock=bench.clock)
    assert corrections.hold(ids[:1], "not_now") == 1
    assert bench.drain(stub.url, batch=1).delivered == 2
    assert stub.seen_ids == ids[1:]


def test_target_that_is_retired_while_a_drain_runs_gets_no_further_batch(bench, stub):
    """What is on the wire is recorded; the rest waits, and the drain says why."""
    bench.append(5)

    def retire_then_accept(request, server):
        with open_home(bench.home) as store:
            TargetRegistry(store, clock=bench.clock).retire(1)
        return each(result("success"))(request, server)

    stub.next(retire_then_accept)
    report = bench.drain(stub.url, batch=1)
    assert report.stop is not None
    assert report.stop.code == "retired"
    assert "targets restore" in report.stop.remedy
    assert 1 <= len(stub.requests) <= 2
    assert report.delivered == len(stub.requests)
    assert "claimed" not in bench.states(stub.url).values()
