"""Many processes, one home."""

from __future__ import annotations

import multiprocessing
from collections import Counter

from producing import Desk

from spec_kitty_sync.sync.emitting import open_emitter

PROCESSES, EMITS = 8, 500


def _emit(root, start, found) -> None:
    desk = Desk(root)
    start.wait()
    with open_emitter(desk.settings) as emitter:
        clocks = [
            emitter.emit_history_added(
                "WP01", entry_type="note", entry_content=str(n)
            ).lamport_clock
            for n in range(EMITS)
        ]
    found.put(clocks)


def test_processes_get_distinct_clocks_and_lose_nothing(desk):
    """Eight processes that emit 500 events each make 4,000 rows with 4,000 clocks, each rising."""
    desk.target("http://127.0.0.1:9", synchronous="NORMAL")
    context = multiprocessing.get_context("spawn")
    start, found = context.Event(), context.Queue()
    workers = [
        context.Process(target=_emit, args=(desk.root, start, found)) for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    start.set()
    per_process = [found.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert all(clocks == sorted(clocks) for clocks in per_process)
    everything = Counter(clock for clocks in per_process for clock in clocks)
    assert sorted(everything) == list(range(1, PROCESSES * EMITS + 1))
    assert set(everything.values()) == {1}
    with open_emitter(desk.settings) as emitter:
        stored = [record.lamport_clock for record in emitter.queue.read()]
        correlations = {record.project_uuid for record in emitter.queue.read()}
    assert sorted(stored) == list(range(1, PROCESSES * EMITS + 1))
    assert stored == sorted(stored)
    assert len(correlations) == 1
