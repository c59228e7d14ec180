"""Selection costs what it returns, whatever the journal's size."""

from __future__ import annotations

import pytest

from spec_kitty_sync.conformance.stub import each, result
from spec_kitty_sync.delivery import selection as module
from spec_kitty_sync.delivery.receivers import ExternalReceiver, ReceiverOptions
from spec_kitty_sync.delivery.retries import retry
from spec_kitty_sync.delivery.runs import begin_run
from spec_kitty_sync.delivery.selection import Limits, Selection

_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n)
INSERT INTO event_journal(event_id, event_type, body, body_sha256, body_bytes, appended_at_ms,
                          tier)
SELECT printf('%026d', i), 'T', x'7b7d', zeroblob(32), 2, 0, 1 FROM n
"""
_DELIVER = """
INSERT INTO delivery_ledger(target_id, epoch, seq, state, not_before)
SELECT 1, 1, seq, iif(seq % 100 = 1, 'transient', 'delivered'), iif(seq % 100 = 1, :due, 0)
FROM event_journal WHERE seq <= :upto
"""


def fill(bench, delivered: int, *, due: int = 0) -> None:
    """Put *delivered* settled events (1 % of them stuck) and 1000 new ones into the home."""
    bench.target("http://127.0.0.1:1")
    with bench.store.transaction() as conn:
        conn.execute(_FILL, {"n": delivered + 1000})
        conn.execute(_DELIVER, {"upto": delivered, "due": due})
        conn.execute("UPDATE delivery_epochs SET mark = ?", (delivered,))
        conn.execute(
            "INSERT INTO delivery_counts SELECT 1, 1, state, category, count(*)"
            " FROM delivery_ledger GROUP BY state, category"
        )


def steps_of_a_selection(bench) -> int:
    """Return how many hundreds of virtual machine steps one selection takes."""
    run = begin_run(bench.store, bench.target("http://127.0.0.1:1"), clock=bench.clock)
    selection = Selection(bench.store, run, Limits())
    ticks = [0]

    def tick() -> int:
        ticks[0] += 1
        return 0

    bench.store.conn.set_progress_handler(tick, 100)
    try:
        assert len(selection.next().seqs) == 1000
    finally:
        bench.store.conn.set_progress_handler(None, 0)
    return ticks[0]


@pytest.mark.parametrize("waiting", [False, True], ids=["stuck rows due", "stuck rows not due"])
def test_selection_does_the_same_work_behind_many_events(bench, bench_at, waiting):
    """SQLite executes as many steps behind 200,000 settled events, 1 % stuck, as behind 1,000."""
    small, large = bench, bench_at("large")
    due = bench.clock.now_ms() + 600_000 if waiting else 0
    fill(small, 100_000 if not waiting else 1_000, due=due)
    fill(large, 200_000, due=due)
    before, after = steps_of_a_selection(small), steps_of_a_selection(large)
    assert after <= before * 1.1 + 5


@pytest.mark.proof
def test_selection_does_the_same_work_behind_a_million_events(bench, bench_at):
    """A million settled events, 1 % stuck, cost as many steps as a thousand."""
    small, large = bench, bench_at("large")
    due = bench.clock.now_ms() + 600_000
    fill(small, 1_000, due=due)
    fill(large, 1_000_000, due=due)
    assert steps_of_a_selection(large) <= steps_of_a_selection(small) * 1.1 + 5


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (module._OPEN, "USING INDEX delivery_ledger_open"),
        (module._DUE, "USING INDEX delivery_ledger_due"),
        (module._NEW, "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    ],
    ids=["open", "due", "new"],
)
def test_selection_walks_an_index_and_sorts_nothing(bench, statement, index):
    """The query plans seek into an index, scan no table and need no temporary sort."""
    names = ("target_id", "epoch", "after", "after_time", "upto", "run_at", "n")
    values = dict.fromkeys(names, 1)
    plan = [row[3] for row in bench.store.conn.execute("EXPLAIN QUERY PLAN " + statement, values)]
    assert any(index in line for line in plan), plan
    assert not any(line.startswith("SCAN") or "TEMP B-TREE" in line for line in plan), plan


def test_body_is_bounded_in_bytes(bench, stub):
    """A batch ends where the next event would exceed the body limit; order is kept."""
    text = {"wp_id": "WP01", "entry_type": "note", "entry_content": "x" * 500}
    ids = bench.append(10, payload=text)
    size = len(bench.journal.get(ids[0]).body)
    limits = Limits(body_bytes=3 * size + 2 + len('{"events":[]}'))
    receiver = ExternalReceiver(
        stub.url, bench.client, options=ReceiverOptions(limits, clock=bench.clock)
    )
    bench.drain(stub.url, receiver=receiver)
    assert [len(request.ids) for request in stub.requests] == [2, 2, 2, 2, 2]
    assert all(len(request.raw) <= limits.body_bytes for request in stub.requests)
    assert stub.seen_ids == ids


def test_event_larger_than_any_body_is_sent_alone(bench, stub):
    """The receiver has the last word on it; it blocks nobody."""
    ids = bench.append(3)
    options = ReceiverOptions(Limits(body_bytes=20), clock=bench.clock)
    receiver = ExternalReceiver(stub.url, bench.client, options=options)
    bench.drain(stub.url, receiver=receiver)
    assert [request.ids for request in stub.requests] == [(i,) for i in ids]


def test_rows_settled_ahead_of_the_mark_are_not_sent_again(bench, stub):
    """Deliveries imported from an older ledger are respected wherever they stand."""
    ids = bench.append(5)
    target = bench.target(stub.url)
    with bench.store.transaction() as conn:
        conn.execute(
            "INSERT INTO delivery_ledger(target_id, epoch, seq, state)"
            " VALUES (?, 1, 3, 'delivered')",
            (target.target_id,),
        )
        conn.execute("INSERT INTO delivery_counts VALUES (?, 1, 'delivered', '', 1)", (1,))
    bench.drain(stub.url)
    assert stub.seen_ids == [ids[0], ids[1], ids[3], ids[4]]


def test_open_rows_come_before_new_events_in_journal_order(bench, stub):
    """First attempts go in journal order, whenever their rows were opened."""
    ids = bench.append(6)
    stub.next(each(result("failed_permanent", "x")))
    bench.drain(stub.url, limit=3)
    retry(bench.store, bench.target(stub.url), event_ids=[ids[2], ids[0]])
    bench.drain(stub.url, batch=2)
    assert stub.seen_ids[3:] == [ids[0], ids[2], ids[3], ids[4], ids[5]]
