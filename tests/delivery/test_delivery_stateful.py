"""Journal, ledger, dispatcher and receivers against a simple model, crashes included.

What must hold whatever happens: every appended event is in the journal with the bytes that were
accepted; delivered at most means that an answer said so; nothing leaves that may not; no event is
skipped for ever; journal order per target; a delivered event's bytes never change.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from delivery_bench import Bench, build, make_event
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from scripted_world import FAULTS, DyingConnection, Killed, ScriptedReceiver, World

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.delivery.dispatcher import DrainOptions
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.redelivery import begin_after_restore, redeliver
from spec_kitty_sync.delivery.retries import retry
from spec_kitty_sync.delivery.soundness import find_faults
from spec_kitty_sync.errors import ContractError, DeliveryBlockedError, EventConflictError
from spec_kitty_sync.event_journal.corrections import Corrections
from spec_kitty_sync.event_journal.retention import Retention
from spec_kitty_sync.events.admission import Admitted

TARGETS = {"https://a.example": "red", "https://b.example": None}
_DELIVERED = """
SELECT t.url, e.epoch, j.event_id FROM delivery_epochs e
JOIN delivery_targets t ON t.target_id = e.target_id
JOIN delivery_ledger l ON l.target_id = e.target_id AND l.epoch = e.epoch
JOIN journal_ids j ON j.seq = l.seq
WHERE l.state = ?
"""
_DUE = """
SELECT count(*) FROM delivery_ledger WHERE state IN ('pending', 'transient', 'rejected')
"""

faults = st.lists(st.sampled_from(FAULTS), max_size=6)
crash = st.one_of(st.none(), st.integers(0, 45))
urls = st.sampled_from(sorted(TARGETS))
picks = st.integers(0, 10_000)


@dataclass
class Known:
    """What the model knows of one event; `body` is None once its bytes are gone."""

    body: bytes | None
    tier: int
    team: str | None
    hold: str | None = None
    superseded: bool = False

    def may_go_to(self, team: str | None) -> bool:
        foreign = team is not None and self.team not in (None, team)
        return not (self.body is None or self.superseded or self.hold or self.tier == 0 or foreign)


class Delivery(RuleBasedStateMachine):
    """The whole of delivery as an operator and bad luck may drive it."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="sk-stateful-"))
        self.clock = ManualClock()
        self.client = HttpClient()
        self.bench: Bench = self.open()
        self.worlds = {url: World() for url in TARGETS}
        self.events: dict[str, Known] = {}
        self.on_wire: set[str] = set()
        self.snapshot: dict[str, Known] | None = None

    def open(self) -> Bench:
        return build(Home(self.root / "home"), self.clock, self.client, synchronous="NORMAL")

    @initialize()
    def register(self) -> None:
        for url, team in TARGETS.items():
            self.bench.registry.ensure(url, team_slug=team)

    def teardown(self) -> None:
        self.settle_everything()
        self.bench.store.close()
        self.client.close()
        shutil.rmtree(self.root)

    # The means

    def corrections(self) -> Corrections:
        facts = SqliteDeliveryFacts(self.bench.store)
        bench = self.bench
        return Corrections(bench.store, bench.journal, delivery=facts, clock=self.clock)

    def perform(self, action: Callable[[], None], crash_at: int | None) -> bool:
        """Run *action*; with *crash_at* the process dies at that statement. Whether it lived."""
        if crash_at is None:
            action()
            return True
        store = self.bench.store
        real = store.conn
        store._conn = DyingConnection(real, crash_at)  # type: ignore[assignment]
        try:
            action()
        except Killed:
            store._conn = real
            store.close()
            self.bench = self.open()
            self.look_again()
            return False
        finally:
            store._conn = real
        return True

    def look_again(self) -> None:
        """After a crash: each event is there as it was, or as the operation wanted it."""
        for event_id, known in self.events.items():
            record = self.bench.journal.get(event_id)
            assert record is not None
            known.hold = record.hold
            known.superseded = record.superseded_by is not None
            known.body = record.body

    def pick(self, number: int) -> str:
        return sorted(self.events)[number % len(self.events)]

    def delivered(self, state: str = "delivered") -> set[tuple[str, int, str]]:
        return set(self.bench.store.conn.execute(_DELIVERED, (state,)))

    # The rules

    @rule(
        n=st.integers(1, 6),
        tier=st.sampled_from([None, None, 0, 1]),
        team=st.sampled_from([None, "red", "blue"]),
        identity=st.sampled_from([None, None, "x"]),
        crash_at=crash,
    )
    def append(
        self, n: int, tier: int | None, team: str | None, identity: str | None, crash_at: int | None
    ) -> None:
        fields = {} if tier is None else {"data_tier": tier}
        events = [make_event(team_slug=team, **fields) for _ in range(n)]
        events = [event._replace(coalesce_identity=identity) for event in events]
        lived = self.perform(lambda: self._append(events), crash_at)
        for event in events:
            record = self.bench.journal.get(event.event_id)
            assert record is not None or not lived
            if record is not None:
                assert record.body == event.body
                known = Known(event.body, event.tier, event.team)
                self.events[event.event_id] = known
        self.notice_superseded()

    def _append(self, events: list[Admitted]) -> None:
        self.bench.journal.append_many(events)

    def notice_superseded(self) -> None:
        """An event is superseded only if it was never on any wire."""
        for event_id, known in self.events.items():
            record = self.bench.journal.get(event_id)
            assert record is not None
            if record.superseded_by is not None and not known.superseded:
                assert event_id not in self.on_wire
                known.superseded = True

    @precondition(lambda self: self.events)
    @rule(
        url=urls,
        script=faults,
        seed=st.integers(0, 99),
        batch=st.integers(1, 5),
        poison=st.one_of(st.none(), picks),
        limit=st.one_of(st.none(), st.integers(1, 8)),
        crash_at=crash,
    )
    def drain(
        self,
        url: str,
        script: list[str],
        seed: int,
        batch: int,
        poison: int | None,
        limit: int | None,
        crash_at: int | None,
    ) -> None:
        target = self.bench.registry.find(url, team_slug=TARGETS[url])
        assert target is not None
        receiver = ScriptedReceiver(
            self.worlds[url],
            epoch=target.epoch,
            clock=self.clock,
            faults=script,
            seed=seed,
            batch=batch,
            poison=frozenset() if poison is None else frozenset({self.pick(poison)}),
        )
        calm = not script and poison is None and not self.waiting()

        def drain() -> None:
            if not target.active:
                with pytest.raises(DeliveryBlockedError, match="retired"):
                    self.bench.dispatcher.drain(
                        target, receiver, locks_dir=self.bench.home.locks_dir
                    )
                return
            report = self.bench.dispatcher.drain(
                target,
                receiver,
                locks_dir=self.bench.home.locks_dir,
                options=DrainOptions(limit=limit, lock_wait_s=0.0),
            )
            assert report.adds_up, report

        self.perform(drain, crash_at)
        self.judge_wire(url, receiver, in_order=calm)

    def waiting(self) -> int:
        return int(self.bench.store.conn.execute(_DUE).fetchone()[0])

    def judge_wire(self, url: str, receiver: ScriptedReceiver, *, in_order: bool) -> None:
        """What was on the wire was allowed to be, byte for byte, in journal order."""
        sent = [pair for request in receiver.wire for pair in request.items()]
        for event_id, body in sent:
            known = self.events[event_id]
            assert known.may_go_to(TARGETS[url]), f"{event_id} must not leave"
            assert known.body == body
        if in_order:
            seqs = self.bench.seqs([event_id for event_id, _ in sent])
            assert seqs == sorted(set(seqs))
        self.on_wire |= {event_id for event_id, _ in sent}

    @rule(seconds=st.sampled_from([1, 40, 4000, 100_000, -50_000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.events)
    @rule(number=picks, crash_at=crash)
    def replace(self, number: int, crash_at: int | None) -> None:
        event_id = self.pick(number)
        known = self.events[event_id]
        new = make_event(event_id=event_id, team_slug=known.team, data_tier=known.tier, extra="y")
        accepted = {i for state in ("delivered", "pending") for _, _, i in self.delivered(state)}
        old = known.body
        try:
            lived = self.perform(
                lambda: self._correct(lambda c: c.replace(new, reason="test")), crash_at
            )
        except (ContractError, EventConflictError):
            return
        if lived:
            known.body, known.hold = new.body, None
        assert known.body in (old, new.body)
        assert known.body == old or event_id not in accepted

    def _correct(self, act: Callable[[Corrections], object]) -> None:
        act(self.corrections())

    @precondition(lambda self: self.events)
    @rule(number=picks, crash_at=crash)
    def discard(self, number: int, crash_at: int | None) -> None:
        event_id = self.pick(number)
        accepted = {i for state in ("delivered", "pending") for _, _, i in self.delivered(state)}
        try:
            lived = self.perform(
                lambda: self._correct(lambda c: c.discard(event_id, reason="test")), crash_at
            )
        except (ContractError, EventConflictError):
            return
        if lived:
            assert event_id not in accepted
            self.events[event_id].body = None

    @precondition(lambda self: self.events)
    @rule(number=picks, on=st.booleans(), crash_at=crash)
    def hold_or_release(self, number: int, on: bool, crash_at: int | None) -> None:
        event_id = self.pick(number)

        def act(corrections: Corrections) -> None:
            if on:
                corrections.hold([event_id], "migration_conflict")
            else:
                corrections.release([event_id])

        self.perform(lambda: self._correct(act), crash_at)
        record = self.bench.journal.get(event_id)
        assert record is not None
        self.events[event_id].hold = record.hold

    @rule(url=urls)
    def retry_by_hand(self, url: str) -> None:
        target = self.bench.registry.find(url, team_slug=TARGETS[url])
        assert target is not None
        retry(self.bench.store, target)

    @rule(url=urls, active=st.booleans())
    def retire_or_restore(self, url: str, active: bool) -> None:
        target = self.bench.registry.find(url, team_slug=TARGETS[url])
        assert target is not None
        act = self.bench.registry.restore if active else self.bench.registry.retire
        act(target.target_id)

    @rule(url=urls)
    def redeliver(self, url: str) -> None:
        target = self.bench.registry.find(url, team_slug=TARGETS[url])
        assert target is not None
        redeliver(self.bench.store, target, locks_dir=self.bench.home.locks_dir, clock=self.clock)

    @precondition(lambda self: self.events)
    @rule(reason=st.sampled_from(["delivered", "dead", "superseded", "local_only"]))
    def gc(self, reason: str) -> None:
        told = self.delivered()
        Retention(self.bench.store, self.bench.journal, clock=self.clock).collect(reason)
        active = {(t.url, t.epoch) for t in self.bench.registry.all() if t.active}
        for event_id, known in self.events.items():
            record = self.bench.journal.get(event_id)
            assert record is not None
            if record.body is None and known.body is not None:
                known.body = None
                if reason == "delivered":
                    where = {(url, epoch) for url, epoch, i in told if i == event_id}
                    assert where
                    assert active <= where
                elif reason == "local_only":
                    assert known.tier == 0
                elif reason == "superseded":
                    assert known.superseded

    @rule()
    def back_up(self) -> None:
        with sqlite3.connect(self.root / "backup.db") as copy:
            self.bench.store.conn.backup(copy)
        copy.close()
        self.snapshot = {i: Known(**vars(known)) for i, known in self.events.items()}

    @precondition(lambda self: self.snapshot is not None)
    @rule()
    def restore(self) -> None:
        """Back to the snapshot, in new epochs; seqs of lost events are not used again."""
        (top,) = self.bench.store.conn.execute("SELECT max(seq) FROM event_journal").fetchone()
        self.bench.store.close()
        for path in self.bench.home.root.glob("journal.db*"):
            path.unlink()
        shutil.copy(self.root / "backup.db", self.bench.home.journal_db)
        self.bench = self.open()
        with self.bench.store.transaction() as conn:
            conn.execute("UPDATE sqlite_sequence SET seq = max(seq, ?)", (top or 0,))
            begin_after_restore(self.bench.store, clock=self.clock)
        assert self.snapshot is not None
        self.events = {i: Known(**vars(known)) for i, known in self.snapshot.items()}
        for url, world in self.worlds.items():
            # Epochs after the snapshot never happened; their numbers are used again.
            target = self.bench.registry.find(url, team_slug=TARGETS[url])
            assert target is not None
            world.told = {e: told for e, told in world.told.items() if e < target.epoch}

    # What always holds

    @invariant()
    def ledger_is_sound(self) -> None:
        assert find_faults(self.bench.store) == []

    @invariant()
    def journal_keeps_every_byte(self) -> None:
        for event_id, known in self.events.items():
            record = self.bench.journal.get(event_id)
            assert record is not None
            assert record.body == known.body

    @invariant()
    def delivered_means_that_an_answer_said_so(self) -> None:
        for url, epoch, event_id in self.delivered():
            if event_id in self.events:
                assert event_id in self.worlds[url].told.get(epoch, set())

    @invariant()
    def delivered_bytes_never_change(self) -> None:
        for url, _, event_id in self.delivered():
            known = self.events.get(event_id)
            stored = self.worlds[url].stored.get(event_id)
            if known is not None and known.body is not None and stored is not None:
                assert known.body == stored

    def settle_everything(self) -> None:
        """With patience and good receivers, every event that may leave arrives everywhere."""
        for url, team in TARGETS.items():
            target = self.bench.registry.find(url, team_slug=team)
            if target is None:
                continue
            self.bench.registry.restore(target.target_id)
            for _ in range(3):
                self.clock.advance(7200)
                retry(self.bench.store, target)
                receiver = ScriptedReceiver(
                    self.worlds[url], epoch=target.epoch, clock=self.clock, batch=50
                )
                report = self.bench.dispatcher.drain(
                    target, receiver, locks_dir=self.bench.home.locks_dir
                )
                assert report.stop is None
                self.judge_wire(url, receiver, in_order=False)
            states = self.bench.states(url, team_slug=team)
            stored = self.worlds[url].stored
            for event_id, known in self.events.items():
                if known.may_go_to(team) and stored.get(event_id, known.body) == known.body:
                    assert states[event_id] == "delivered", event_id
            self.ledger_is_sound()


TestDelivery = pytest.mark.filterwarnings("error")(Delivery.TestCase)
TestDelivery.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
