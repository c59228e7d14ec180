"""The background service: how often it tries, what it shows, how it ends."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest
from waiting import wait_until

from spec_kitty_sync._clock import ManualClock, SystemClock
from spec_kitty_sync.delivery.report import DrainReport, Stop
from spec_kitty_sync.errors import DeliveryBlockedError, DrainLockedError
from spec_kitty_sync.sync.background import BackgroundSyncService, Pacing
from spec_kitty_sync.sync.heartbeat import Heartbeat, HeartbeatFile, read_service

QUICK = Pacing(idle_s=60.0, settle_s=0.01, first_backoff_s=0.02, longest_backoff_s=0.1)
DONE = DrainReport(target_id=1, endpoint="http://x", started_at=0, ended_at=0)


def stopped(code: str, retry_at: int | None = None) -> DrainReport:
    """Return the report of a drain that ended early."""
    stop = Stop(code, "why", "what helps", retry_at=retry_at)
    return DrainReport(target_id=1, endpoint="http://x", started_at=0, ended_at=0, stop=stop)


class Drains:
    """Plays what drains come to, in order; the last one again and again."""

    def __init__(self, *outcomes: DrainReport | Exception) -> None:
        self._outcomes = list(outcomes)
        self.times: list[float] = []

    def __call__(self, stop: object) -> DrainReport:
        self.times.append(time.monotonic())
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def service_of(desk):
    """Start services that end with the test."""
    made: list[BackgroundSyncService] = []

    def start(drain, **more) -> BackgroundSyncService:
        service = BackgroundSyncService(
            drain, heartbeat=HeartbeatFile(desk.home), clock=SystemClock(), pacing=QUICK, **more
        )
        made.append(service)
        service.start()
        return service

    yield start
    for service in made:
        service.stop()


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"),
    [
        (1, 0.5, 2.0),
        (2, 0.5, 4.0),
        (3, 0.0, 4.0),
        (3, 1.0, 12.0),
        (9, 0.5, 300.0),
        (99, 0.5, 300.0),
    ],
)
def test_backoff_doubles_up_to_a_limit(failures, jitter, seconds):
    """Each failure doubles the wait, half of it left to chance, five minutes at most."""
    assert Pacing().backoff_s(failures, jitter) == seconds


def test_service_drains_at_once_and_when_an_event_waits(service_of):
    """The first drain needs no event; then an event starts the next one."""
    drains = Drains(DONE)
    service = service_of(drains)
    wait_until(lambda: len(drains.times) == 1)
    wait_until(lambda: service.beat.activity == "waiting")
    service.wake()
    wait_until(lambda: len(drains.times) == 2)
    assert service.beat.last_success_at is not None


def test_service_backs_off_and_comes_back(service_of):
    """Failures are counted and shown; the first success clears them."""
    offline = stopped("offline")
    drains = Drains(offline, offline, DONE)
    seen: list[Heartbeat] = []
    service = service_of(drains)
    service.on_beat = seen.append
    wait_until(lambda: len(drains.times) == 3)
    wait_until(lambda: service.beat.failures == 0)
    assert service.beat.last_stop is None
    assert {"offline"} == {beat.last_stop for beat in seen if beat.failures}


def test_event_does_not_shorten_a_backoff(service_of):
    """A server in trouble is not asked more often because events come."""
    far = SystemClock().now_ms() + 60_000
    drains = Drains(stopped("throttled", retry_at=far))
    service = service_of(drains)
    wait_until(lambda: service.beat.activity == "backing off")
    for _ in range(5):
        service.wake()
        time.sleep(0.02)
    assert len(drains.times) == 1
    assert service.beat.next_beat_at > far - 5_000


@pytest.mark.parametrize(
    ("error", "shown", "failures"),
    [
        (DeliveryBlockedError("x", reason="sync_disabled"), "sync_disabled", 1),
        (DrainLockedError("another one"), None, 0),
    ],
)
def test_what_stands_in_the_way_is_shown(service_of, error, shown, failures):
    """A closed gate counts as a failure with its reason; another drain is no trouble at all."""
    service = service_of(Drains(error))
    wait_until(lambda: service.beat.last_attempt_at is not None)
    assert service.beat.last_stop == shown
    assert (service.beat.failures > 0) is bool(failures)


def test_unforeseen_error_is_a_failed_attempt(service_of, caplog):
    """A defect in one attempt is logged with its traceback, shown, and tried again after a wait."""
    drains, watched = Drains(ZeroDivisionError("odd"), DONE), threading.Event()
    seen: list[Heartbeat] = []

    def drain(stop: object) -> DrainReport:
        watched.wait(60)
        return drains(stop)

    service = service_of(drain)
    service.on_beat = seen.append
    watched.set()
    wait_until(lambda: service.beat.last_success_at is not None)
    assert service.running
    assert {"internal_error"} == {beat.last_stop for beat in seen if beat.failures}
    assert "ZeroDivisionError: odd" in caplog.text


def test_home_that_refuses_signs_of_life_is_no_error(service_of, desk, caplog):
    """Without a folder for its file the service delivers all the same, and says so once."""
    (desk.home.ensure().root / "background").write_text("")
    drains = Drains(DONE)
    service = service_of(drains)
    wait_until(lambda: service.beat.last_success_at is not None)
    service.wake()
    wait_until(lambda: len(drains.times) == 2)
    assert service.running
    assert read_service(desk.home, clock=SystemClock()).state == "none"
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert ["background is not a directory" in each.getMessage() for each in told] == [True]


def test_stop_drains_once_more_only_if_events_wait(service_of):
    """What came since the last drain gets one more; nothing came, nothing is done."""
    idle, busy = Drains(DONE), Drains(DONE)
    quiet, waiting = service_of(idle), service_of(busy)
    for service in (quiet, waiting):
        wait_until(lambda service=service: service.beat.activity == "waiting")
    assert quiet.stop() is True
    waiting.wake()
    assert waiting.stop() is True
    assert (len(idle.times), len(busy.times)) == (1, 2)


def test_stop_never_waits_longer_than_its_bound(service_of):
    """A drain that hangs does not hold the stop up."""
    begun, release = threading.Event(), threading.Event()

    def hang(stop: object) -> DrainReport:
        begun.set()
        release.wait(60)
        return DONE

    service = service_of(hang)
    assert begun.wait(60)
    began = time.monotonic()
    assert service.stop(0.3) is False
    assert time.monotonic() - began < 10
    release.set()
    wait_until(lambda: not service.running)


def test_start_twice_is_one_thread(service_of):
    """A second start changes nothing, and a stopped service can start again."""
    drains = Drains(DONE)
    service = service_of(drains)
    service.start()
    wait_until(lambda: service.beat.activity == "waiting")
    assert len(drains.times) == 1
    service.stop()
    service.start()
    wait_until(lambda: len(drains.times) == 2)


def beat(**changes: object) -> Heartbeat:
    """Return a heartbeat of this process."""
    fields = {"pid": os.getpid(), "started_at": 0, "beat_at": 0, "next_beat_at": 0}
    return Heartbeat(**{"activity": "waiting", **fields, **changes})


@pytest.mark.parametrize(
    ("late_ms", "pid", "state"),
    [(0, None, "running"), (100_000, None, "running"), (130_000, None, "stalled"),
     (0, 2**22 + 1, "dead")],
)  # fmt: skip
def test_service_that_breaks_its_promise_is_seen(desk, late_ms, pid, state):
    """Alive and in time is running, alive and late is stalled, gone without goodbye is dead."""
    clock = ManualClock()
    file = HeartbeatFile(desk.home)
    desk.home.ensure()
    file.begin()
    file.write(beat(pid=pid or os.getpid(), next_beat_at=clock.now_ms() - late_ms))
    found = read_service(desk.home, clock=clock)
    assert (found.state, found.activity) == (state, "waiting")
    file.end()
    assert read_service(desk.home, clock=clock).state == "none"


def test_next_service_clears_away_the_dead(desk):
    """Files of dead processes and broken ones go when a service begins; living ones stay."""
    folder = desk.home.ensure().root / "background"
    folder.mkdir()
    (folder / "1.json").write_text(json.dumps({**vars(beat(pid=2**22 + 1))}))
    (folder / "2.json").write_text("{")
    (folder / "3.json").write_text(json.dumps({**vars(beat())}))
    HeartbeatFile(desk.home).begin()
    assert [path.name for path in folder.glob("*.json")] == ["3.json"]
