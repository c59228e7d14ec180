"""Several processes, one home: one drain per target, and a lock that dies with its holder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from waiting import wait_until

from spec_kitty_sync.conformance.stub import late, per_event, refuse
from spec_kitty_sync.delivery.lock import drain_lock, drain_running, no_drain, read_holder
from spec_kitty_sync.delivery.soundness import find_faults
from spec_kitty_sync.errors import DrainLockedError, RestoreRunningError

SCRIPT = Path(__file__).with_name("drain_process.py")


def start(bench, url, *, wait_s):
    command = [sys.executable, str(SCRIPT), str(bench.home.root), url, str(wait_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process):
    out, _ = process.communicate(timeout=60)
    return json.loads(out)


def test_two_processes_draining_one_home_post_nothing_twice(bench, stub):
    """Whoever comes second waits for the lock, then finds nothing left to do."""
    ids = bench.append(100)
    stub.always(late(0.01))
    both = [start(bench, stub.url, wait_s=30) for _ in range(2)]
    reports = [finish(process) for process in both]
    assert sum(report["delivered"] for report in reports) == 100
    assert stub.seen_ids == ids
    bench.check()


def test_second_drain_says_who_holds_the_lock(bench, stub):
    """The refusal names the process and since when."""
    bench.append(20)
    answered = threading.Event()

    def hold_up(request, stub):
        answered.wait(30)
        return per_event()(request, stub)

    stub.next(hold_up)
    first = start(bench, stub.url, wait_s=30)
    wait_until(lambda: stub.requests)
    second = finish(start(bench, stub.url, wait_s=0.1))
    answered.set()
    assert second["pid"] == first.pid
    assert f"process {first.pid} has been draining this target since 20" in second["locked"]
    assert finish(first)["delivered"] == 20


def test_killed_drain_frees_the_lock_and_loses_nothing(bench, stub):
    """kill -9 in mid-send: the next drain starts at once and sends the same ids again."""
    ids = bench.append(40)
    stub.next(per_event(), late(30))
    victim = start(bench, stub.url, wait_s=0)
    wait_until(lambda: len(stub.requests) == 2)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    began = time.monotonic()
    report = bench.drain(stub.url)
    assert time.monotonic() - began < 20
    assert report.selected >= 30
    assert set(stub.seen_ids) == set(ids)
    assert find_faults(bench.store) == []


def test_lock_is_per_target(bench):
    """Draining one target keeps nobody from draining another; the files stay."""
    folder = bench.home.locks_dir
    with drain_lock(folder, 1, clock=bench.clock):
        assert drain_running(folder, 1)
        assert not drain_running(folder, 2)
        assert read_holder(folder, 1).pid == os.getpid()
        with drain_lock(folder, 2, clock=bench.clock, wait_s=0):
            pass
        refused = pytest.raises(DrainLockedError, match=f"process {os.getpid()}")
        with refused, drain_lock(folder, 1, clock=bench.clock, wait_s=0):
            pass
    assert not drain_running(folder, 1)
    assert (folder / "drain-1.lock").exists()


def test_no_drain_begins_while_a_restore_has_the_home(bench):
    """Neither a known target nor a new one can be drained then; afterwards both can."""
    folder = bench.home.locks_dir
    with drain_lock(folder, 1, clock=bench.clock):
        pass
    with no_drain(folder):
        for target_id in (1, 2):
            refused = pytest.raises(RestoreRunningError, match="restore of this home is running")
            with refused, drain_lock(folder, target_id, clock=bench.clock, wait_s=0):
                pass
        with pytest.raises(RestoreRunningError), no_drain(folder, wait_s=0):
            pass
        # Whoever was refused must not keep the next one out.
        assert not drain_running(folder, 2)
    for target_id in (1, 2):
        with drain_lock(folder, target_id, clock=bench.clock, wait_s=0):
            pass


def test_refused_restore_leaves_the_gate_open(bench):
    """A restore that waited in vain for a drain lets the next drain begin."""
    folder = bench.home.locks_dir
    with drain_lock(folder, 1, clock=bench.clock):
        refused = pytest.raises(DrainLockedError, match=f"process {os.getpid()}")
        with refused, no_drain(folder, wait_s=0):
            pass
        with drain_lock(folder, 2, clock=bench.clock, wait_s=0):
            pass


def test_stop_signal_records_what_is_on_the_wire(bench, stub):
    """Ctrl-C finishes the batch that was sent, releases the lock and says what was done."""
    ids = bench.append(50)
    stop = threading.Event()

    def stop_at_second(request, stub):
        if len(stub.requests) == 2:
            stop.set()
        return per_event(delay_s=0.05)(request, stub)

    stub.always(stop_at_second)
    report = bench.drain(stub.url, batch=10, stop=stop)
    assert report.stop.code == "interrupted"
    assert report.delivered == len(stub.seen_ids) == 20
    assert not drain_running(bench.home.locks_dir, 1)
    assert bench.drain(stub.url, batch=10).delivered == 30
    assert stub.seen_ids == ids


def test_stop_signal_ends_a_wait(bench, stub):
    """Nobody sits out a Retry-After after Ctrl-C."""

    class StopAfterOneSlice:
        def is_set(self):
            return bool(bench.clock.slept)

    bench.append(5)
    stub.always(refuse(429, headers={"Retry-After": "25"}))
    report = bench.drain(stub.url, stop=StopAfterOneSlice())
    assert (report.stop.code, report.not_sent) == ("interrupted", 5)
    assert sum(bench.clock.slept) < 1


def test_limit_ends_the_drain_after_so_many_events(bench, stub):
    """`--limit` sends the first N and leaves the rest for later."""
    ids = bench.append(25)
    assert bench.drain(stub.url, batch=10, limit=14).delivered == 14
    assert stub.seen_ids == ids[:14]
    assert bench.drain(stub.url, batch=10).delivered == 11


def test_progress_is_told_after_each_answer(bench, stub):
    """The caller hears how many events are settled of how many selected."""
    bench.append(25)
    told = []
    bench.drain(stub.url, batch=10, progress=lambda done, selected: told.append(done))
    assert told == [10, 20, 25]
