"""What the ledger remembers: targets, epochs, claims, and what may be taken away."""

from __future__ import annotations

import pytest

from spec_kitty_sync.conformance.stub import StubServer, each, per_event, refuse, rejected, result
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.history import (
    count_stalled,
    delivered_ever,
    failed_events,
    failures_of_run,
    next_retry_at,
    oldest_deliverable,
    recent_log,
    rows_of,
)
from spec_kitty_sync.delivery.ledger import Answered, Verdict
from spec_kitty_sync.delivery.redelivery import preview_redelivery, redeliver
from spec_kitty_sync.delivery.retries import retry
from spec_kitty_sync.delivery.runs import begin_run
from spec_kitty_sync.delivery.soundness import find_faults
from spec_kitty_sync.delivery.states import DeliveryState
from spec_kitty_sync.event_journal.retention import Retention
from spec_kitty_sync.events.results import BatchResult, ResultStatus
from spec_kitty_sync.sync.store import open_home


def collect(bench, reason="delivered"):
    return Retention(bench.store, bench.journal, clock=bench.clock).collect(reason).events


def test_each_target_gets_everything_and_nothing_twice(bench, stub):
    """N events to A, the same bytes to B, back to A: nothing is posted; all payloads are kept."""
    ids = bench.append(30)
    with StubServer() as other:
        bench.drain(stub.url)
        bench.drain(other.url)
        assert other.seen_ids == stub.seen_ids == ids
        assert [r.raw for r in other.requests] == [r.raw for r in stub.requests]
        assert bench.drain(stub.url).requests == 0
        assert len(stub.requests) == 1
    assert all(bench.journal.get(event_id).body for event_id in ids)
    assert delivered_ever(bench.store) == {1: 30, 2: 30}


def test_redelivery_is_a_new_epoch_and_keeps_the_old_rows(bench, stub):
    """Everything is sent again under the same ids; what was known before stays readable."""
    ids = bench.append(4)
    bench.drain(stub.url)
    target = redeliver(
        bench.store, bench.target(stub.url), locks_dir=bench.home.locks_dir, clock=bench.clock
    )
    assert (target.epoch, target.mark) == (2, 0)
    assert bench.drain(stub.url).duplicates == 4
    assert stub.seen_ids == ids * 2
    assert [(row.epoch, row.current, row.category) for row in rows_of(bench.store, 1)] == [
        (1, False, ""),
        (2, True, "duplicate"),
    ]


def test_redelivery_says_first_what_gc_made_unsendable(bench, stub):
    """The preview counts what cannot be sent again because its bytes are gone."""
    bench.append(3)
    bench.drain(stub.url)
    collect(bench)
    bench.append(2)
    preview = preview_redelivery(bench.store, bench.target(stub.url))
    assert (preview.sendable, preview.unsendable) == (2, 3)


def test_claim_is_durable_before_the_batch_is_sent(bench, stub):
    """While a batch is on the wire, another process sees its events as touched."""
    bench.append(4)
    seen = []

    def look(request, stub):
        with open_home(bench.home) as elsewhere:
            seen.append(SqliteDeliveryFacts(elsewhere).untouched([1, 2, 3, 4]))
        return per_event()(request, stub)

    stub.always(look)
    bench.drain(stub.url, limit=3)
    assert seen == [{4}]


def test_claim_that_nobody_recorded_is_open_for_the_next_drain(bench, stub):
    """A holder that died between claim and record leaves its events open, and remembered."""
    ids = bench.append(3)
    target = bench.target(stub.url)
    run = begin_run(bench.store, target, clock=bench.clock)
    bench.ledger.claim(run, [1, 2])
    facts = SqliteDeliveryFacts(bench.store)
    assert facts.untouched([1, 2, 3]) == {3}
    assert facts.unaccepted([1, 2, 3]) == {3}
    bench.drain(stub.url)
    assert stub.seen_ids == ids
    assert bench.store.conn.execute("SELECT count(*) FROM delivery_claims").fetchone() == (0,)


def test_delivered_row_absorbs_every_later_answer(bench, stub):
    """Whatever comes after a delivery, by whatever path, changes neither state nor provenance."""
    (event,) = bench.append()
    bench.drain(stub.url)
    before = rows_of(bench.store, 1)
    bench.clock.advance(60)
    run = begin_run(bench.store, bench.target(stub.url), clock=bench.clock)
    for status in ResultStatus:
        verdict = Verdict(1, BatchResult(event, status, "late", "unknown"))
        bench.ledger.record(run, [verdict], Answered("https://elsewhere.example", 200))
    assert rows_of(bench.store, 1) == before
    bench.check()


def test_stopped_drain_remembers_that_events_were_claimed(bench, stub):
    """An event that may have been on the wire is never superseded, though it is open again."""
    bench.append(2)
    stub.next(refuse(403))
    bench.drain(stub.url)
    facts = SqliteDeliveryFacts(bench.store)
    assert facts.untouched([1, 2]) == set()
    assert facts.unaccepted([1, 2]) == {1, 2}


def test_nothing_is_accepted_before_an_answer_said_so(bench, stub):
    """Delivered and pending are accepted; rejected and held are not."""
    delivered, pending, refused, local = (bench.append()[0] for _ in range(4))
    stub.next(per_event({pending: result("pending"), refused: rejected("no")}))
    bench.append(data_tier=0)
    bench.drain(stub.url)
    facts = SqliteDeliveryFacts(bench.store)
    assert facts.unaccepted([1, 2, 3, 4, 5]) == {3, 5}
    assert facts.untouched([1, 2, 3, 4, 5]) == {5}
    assert {delivered, local} <= set(stub.stored_ids)


def test_retry_opens_what_did_not_get_through(bench, stub):
    """By state, by category or by id; delivered events are never touched."""
    ids = bench.append(5)
    verdicts = {
        ids[0]: rejected("missing field", "schema_mismatch"),
        ids[1]: rejected("odd", "id_conflict"),
        ids[2]: result("failed_permanent", "never"),
        ids[3]: result("failed_transient", "busy"),
    }
    stub.next(per_event(verdicts))
    bench.drain(stub.url)
    target = bench.target(stub.url)
    assert retry(bench.store, target, category="schema_mismatch") == 1
    assert retry(bench.store, target, event_ids=[ids[1], ids[4]]) == 1
    assert retry(bench.store, target, states=[DeliveryState.TERMINAL_FAILED]) == 1
    assert retry(bench.store, target, states=[DeliveryState.DELIVERED]) == 0
    assert retry(bench.store, target) == 1
    bench.check()
    assert bench.drain(stub.url).delivered == 4
    assert retry(bench.store, target) == 0


def test_history_tells_what_failed_and_when_it_is_due(bench, stub):
    """Failed events, the log of answers and the next retry are read without a drain."""
    bad, slow, _ = bench.append(3)
    stub.next(per_event({bad: rejected("no lane"), slow: result("pending")}))
    bench.drain(stub.url)
    target = bench.target(stub.url)
    (failed,) = failed_events(bench.store, target, states=("rejected", "dead_letter"))
    assert (failed.event_id, failed.reason, failed.rejections) == (bad, "no lane", 1)
    (entry,) = recent_log(bench.store)
    assert (entry.events, entry.delivered, entry.pending, entry.rejected) == (3, 1, 1, 1)
    assert next_retry_at(bench.store, target) == bench.clock.now_ms() + 1
    assert oldest_deliverable(bench.store, target) is None
    bench.append()
    assert oldest_deliverable(bench.store, target) == 4
    assert count_stalled(bench.store, target, now_ms=bench.clock.now_ms()) == 0
    later = bench.clock.now_ms() + 25 * 3_600_000
    assert count_stalled(bench.store, target, now_ms=later) == 1


def test_failures_of_a_run_are_those_of_that_run(bench, stub):
    """The report leads to each of its failures, and to none of an earlier run."""
    first, second = bench.append(2)
    stub.next(each(rejected("bad lane")))
    report = bench.drain(stub.url, limit=1)
    target = bench.target(stub.url)
    stub.next(per_event({first: result("pending"), second: result("failed_permanent", "old")}))
    later = bench.drain(stub.url)
    of_first = failures_of_run(bench.store, target, first_batch_id=report.first_batch_id)
    of_later = failures_of_run(bench.store, target, first_batch_id=later.first_batch_id)
    assert [failed.event_id for failed in of_later] == [second]
    assert of_first == of_later
    assert later.first_batch_id > report.first_batch_id


def test_gc_takes_only_what_every_active_target_has(bench, stub):
    """Delivered to at least one and to every active target; retiring a dead one unsticks gc."""
    bench.append(3)
    assert collect(bench) == 0
    dead = bench.target("http://127.0.0.1:1")
    assert collect(bench) == 0
    bench.drain(stub.url)
    assert collect(bench) == 0
    bench.registry.retire(dead.target_id)
    bench.append()
    assert collect(bench) == 3
    bench.drain(stub.url)
    bench.check()
    assert set(bench.states(stub.url).values()) == {"delivered"}


def test_gc_with_only_retired_targets_takes_what_one_of_them_has(bench, stub):
    """A retired target's deliveries count as delivered once; undelivered events stay."""
    bench.append(2)
    bench.drain(stub.url)
    bench.append(2)
    bench.registry.retire(bench.target(stub.url).target_id)
    assert collect(bench) == 2
    assert collect(bench) == 0


@pytest.mark.parametrize("epochs", [1, 2])
def test_gc_asks_for_the_current_epoch(bench, stub, epochs):
    """After `--redeliver` nothing goes until it is delivered again."""
    bench.append(2)
    bench.drain(stub.url)
    if epochs == 2:
        bench.registry.start_epoch(bench.target(stub.url).target_id, reason="redeliver")
    assert collect(bench) == (2 if epochs == 1 else 0)


def test_gc_takes_local_superseded_and_dead_events_only_by_name(bench, stub):
    """The plain gc leaves them; each has a name of its own."""
    bench.append(2, data_tier=0)
    (bad,) = bench.append()
    stub.always(each(result("failed_permanent", "never")))
    bench.drain(stub.url)
    assert bench.states(stub.url)[bad] == "terminal_failed"
    assert collect(bench) == 0
    assert collect(bench, "dead") == 1
    assert collect(bench, "local_only") == 2
    assert collect(bench, "superseded") == 0


def test_soundness_check_sees_what_is_wrong(bench, stub):
    """A missing row below the mark, a wrong count and a row without an event are each named."""
    bench.append(3)
    bench.drain(stub.url)
    with bench.store.transaction() as conn:
        conn.execute("DELETE FROM delivery_ledger WHERE seq = 2")
        conn.execute(
            "INSERT INTO delivery_ledger(target_id, epoch, seq, state) VALUES (1, 1, 9, 'open')"
        )
    faults = find_faults(bench.store)
    assert len(faults) == 4
    assert "1 events below the mark have no row" in faults[0]


def test_clock_that_was_set_back_parks_nothing(bench, stub):
    """Rows due in a far future count as due; nothing waits for a year."""
    bench.clock.advance(365 * 86_400)
    bench.append()
    stub.next(each(result("pending")))
    bench.drain(stub.url)
    bench.clock.wall_ms -= 365 * 86_400_000
    assert bench.drain(stub.url).delivered == 1


def test_row_remembers_its_first_attempt(bench, stub):
    """The first attempt's time stays when later ones move the last one's."""
    (event_id,) = bench.append()
    stub.next(each(rejected("bad lane")))
    began = bench.clock.now_ms()
    bench.drain(stub.url)
    bench.clock.advance(100)
    bench.drain(stub.url)
    (row,) = rows_of(bench.store, bench.seqs([event_id])[0])
    assert (row.state, row.attempts) == ("delivered", 2)
    assert row.first_at is not None
    assert row.last_at is not None
    assert began <= row.first_at <= row.last_at - 100_000
