"""The drain: select → claim → send → record, until nothing is left or the receiver says stop.

All SQL runs on the calling thread, all HTTP on one sender thread: while one batch is on the
wire, the next is selected, checked, compressed and claimed. No transaction spans the network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._http import Reply
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.answers import Results
from spec_kitty_sync.delivery.ledger import Answered, SqliteLedger, Verdict
from spec_kitty_sync.delivery.lock import WAIT_S, drain_lock
from spec_kitty_sync.delivery.receivers import DeliveryReceiver, WireBatch, WireEvent
from spec_kitty_sync.delivery.report import DrainReport, Stop, Tally
from spec_kitty_sync.delivery.runs import Run, begin_run, end_run
from spec_kitty_sync.delivery.selection import Selected, Selection
from spec_kitty_sync.delivery.sender import Sender
from spec_kitty_sync.delivery.settling import (
    DrainStopped,
    Failure,
    Patience,
    Settling,
    sort_results,
)
from spec_kitty_sync.delivery.targets import Target, TargetRegistry
from spec_kitty_sync.errors import DeliveryBlockedError, DeliveryError, TargetError

_WAIT_SLICE_S = 0.2
_INTERRUPTED = Stop("interrupted", "stopped as asked", "Run `spec-kitty sync now` to go on.")


class JournalReader(Protocol):
    """What the drain needs of the journal."""

    def bodies(self, seqs: Sequence[int]) -> list[tuple[int, str, bytes, bytes]]:
        """Return (seq, event_id, body, body_sha256) of those *seqs* whose body is kept."""
        ...


class StopSignal(Protocol):
    """Asked between requests; `threading.Event` is one."""

    def is_set(self) -> bool: ...


class _Never:
    def is_set(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class DrainOptions:
    """One drain's choices. `lock_wait_s`: how long to wait for another drain of the target."""

    limit: int | None = None
    include_team: str | None = None
    lock_wait_s: float = WAIT_S
    stop: StopSignal = field(default_factory=_Never)
    progress: Callable[[int, int], None] | None = None


@dataclass(eq=False, slots=True)
class _Prepared:
    """A claimed batch on its way to the wire. Without events it only moves the mark."""

    chosen: Selected
    claim: int | None
    events: list[WireEvent] = field(default_factory=list)
    batch: WireBatch | None = None
    on_wire: Future[Reply | Failure] | None = None

    def take_reply(self) -> Reply | Failure | None:
        """Wait for the answer; None if the batch is not on the wire."""
        if self.on_wire is None:
            return None
        reply = self.on_wire.result()
        self.on_wire = None
        return reply


class Dispatcher:
    """Drains one home's journal to one target at a time."""

    def __init__(
        self, store: Store, journal: JournalReader, *, ledger: SqliteLedger, clock: Clock
    ) -> None:
        self._store = store
        self._journal = journal
        self._ledger = ledger
        self._clock = clock

    def drain(
        self,
        target: Target,
        receiver: DeliveryReceiver,
        *,
        locks_dir: Path,
        options: DrainOptions | None = None,
    ) -> DrainReport:
        """Deliver what *target* has not been told yet; return what was done.

        A closed gate, an answer that stops the drain and the stop signal end it early, in
        `DrainReport.stop`; what was on the wire is recorded before.

        Raises:
            DrainLockedError: another process drains this target.
            TargetChangedError: the database is another one than before; nothing is recorded in it.
            StoreError: the database failed; what it had recorded stays.
        """
        options = options or DrainOptions()
        started = self._clock.now_ms()
        tally = Tally()
        stop = _closed_gate(receiver)
        if stop is None:
            with drain_lock(
                locks_dir, target.target_id, clock=self._clock, wait_s=options.lock_wait_s
            ):
                stop = self._drain_locked(target, receiver, options, tally)
        return tally.report(
            target_id=target.target_id,
            endpoint=receiver.endpoint_url,
            times=(started, self._clock.now_ms()),
            stop=stop,
        )

    def _drain_locked(
        self, target: Target, receiver: DeliveryReceiver, options: DrainOptions, tally: Tally
    ) -> Stop | None:
        registry = TargetRegistry(self._store, clock=self._clock)
        with Sender() as sender:
            with self._store.transaction():
                run = begin_run(
                    self._store,
                    target,
                    clock=self._clock,
                    max_rejections=receiver.retry.max_rejections,
                    include_team=options.include_team,
                )
                tally.first_batch_id = run.first_batch_id
                drain = _Drain(
                    store=self._store,
                    ledger=self._ledger,
                    journal=self._journal,
                    clock=self._clock,
                    receiver=receiver,
                    run=run,
                    options=options,
                    tally=tally,
                    sender=sender,
                    selection=Selection(self._store, run, receiver.limits),
                    patience=Patience(receiver.retry.wait_s),
                )
                # One commit for the run and its first claim.
                first = drain.claim_next()
            stop = drain.go(first)
        end_run(self._store, run, stop=stop.code if stop else None)
        gate, login = receiver.retry.gate_closed_by_403, receiver.login_id()
        # Without a login there is none that could open the gate again.
        if stop is not None and stop.http_status == 403 and gate is not None and login:
            registry.close_gate(target.target_id, gate, login)
        return stop


def _closed_gate(receiver: DeliveryReceiver) -> Stop | None:
    for gate in receiver.gates():
        if not gate.open:
            return Stop(gate.code, f"delivery is blocked: {gate.code}", gate.remedy)
    return None


@dataclass
class _Drain:
    """One run under the lock."""

    store: Store
    ledger: SqliteLedger
    journal: JournalReader
    clock: Clock
    receiver: DeliveryReceiver
    run: Run
    options: DrainOptions
    tally: Tally
    sender: Sender
    selection: Selection
    patience: Patience

    unfinished: list[_Prepared] = field(default_factory=list)

    def go(self, first: _Prepared | None) -> Stop | None:
        """Run to the end, beginning with *first*; return why it ended early, or None."""
        try:
            current = self._launched(self._loaded(first))
            while current is not None:
                following = self._loaded(self.claim_next())
                reply = current.take_reply()
                if isinstance(reply, Reply) and reply.status == 200 and not self._stopping:
                    # A plain answer: the wire need not wait until it is recorded.
                    self._launched(following)
                self._settle(current, reply)
                current = self._launched(following)
        except DrainStopped as stopped:
            self._wind_up()
            return stopped.stop
        return _INTERRUPTED if self._stopping else None

    @property
    def _stopping(self) -> bool:
        return self.options.stop.is_set()

    def claim_next(self) -> _Prepared | None:
        """Select and claim the next batch in one transaction; None when there is none."""
        while not self._stopping:
            room = None
            if self.options.limit is not None:
                room = self.options.limit - self.tally.numbers["selected"]
                if room <= 0:
                    return None
            with self.store.transaction():
                chosen = self.selection.next(room)
                if chosen.held:
                    self._hold(chosen.held)
                claim = self._claim(chosen.seqs) if chosen.seqs else None
            if claim is not None or chosen.passes is not None:
                prepared = _Prepared(chosen, claim)
                self.unfinished.append(prepared)
                self.tally.numbers["selected"] += len(chosen.seqs)
                return prepared
            if not chosen.held:
                return None
        return None

    def _claim(self, seqs: Sequence[int]) -> int:
        try:
            return self.ledger.claim(self.run, seqs)
        except DeliveryBlockedError as exc:  # somebody has retired the target meanwhile
            raise DrainStopped(Stop("retired", exc.message, exc.remedy)) from exc

    def _loaded(self, prepared: _Prepared | None) -> _Prepared | None:
        """Read and compress the events whose stored bytes are whole; hold the others."""
        if prepared is None or not prepared.chosen.seqs:
            return prepared
        held: dict[int, str] = {}
        for seq, event_id, body, sha256 in self.journal.bodies(prepared.chosen.seqs):
            if hashlib.sha256(body).digest() == sha256:
                prepared.events.append(WireEvent(seq, event_id, body))
            else:
                held[seq] = "corrupt"
        if len(prepared.events) + len(held) < len(prepared.chosen.seqs):
            found = held.keys() | {event.seq for event in prepared.events}
            held.update((seq, "archived") for seq in prepared.chosen.seqs if seq not in found)
        if held:
            self._hold(held)
            self.tally.numbers["selected"] -= len(held)
        if prepared.events:
            prepared.batch = WireBatch.of(prepared.events)
        return prepared

    def _hold(self, reasons: dict[int, str]) -> None:
        self.ledger.hold(self.run, reasons)
        self.tally.held.update(reasons.values())

    def _launched(self, prepared: _Prepared | None) -> _Prepared | None:
        """Put the batch on the wire, unless it is there or has nothing to send."""
        if prepared is not None and prepared.batch is not None and prepared.on_wire is None:
            if self._stopping:
                raise DrainStopped(_INTERRUPTED)
            prepared.on_wire = self._submit(prepared.batch)
        return prepared

    def _submit(self, batch: WireBatch) -> Future[Reply | Failure]:
        self.tally.numbers["requests"] += 1
        self.tally.numbers["bytes_sent"] += len(batch.payload)
        return self.sender.submit(self._deliver, batch)

    def _deliver(self, batch: WireBatch) -> Reply | Failure:
        try:
            return self.receiver.deliver(batch)
        except (DeliveryError, TargetError) as exc:
            return exc

    def _send(self, events: list[WireEvent]) -> Reply | Failure:
        if self._stopping:
            raise DrainStopped(_INTERRUPTED)
        return self._submit(WireBatch.of(events)).result()

    def _settle(self, prepared: _Prepared, reply: Reply | Failure | None) -> None:
        if reply is None:
            self._record(prepared, [], status=None, last=True, unknown_ids=0)
            return
        settling = Settling(
            receiver=self.receiver,
            clock=self.clock,
            patience=self.patience,
            record=partial(self._record, prepared),
            send=self._send,
            wait=self._wait,
        )
        settling.settle(prepared.events, reply)

    def _record(
        self,
        prepared: _Prepared,
        verdicts: list[Verdict],
        *,
        status: int | None,
        last: bool,
        unknown_ids: int,
    ) -> None:
        recorded = self.ledger.record(
            self.run,
            verdicts,
            Answered(self.receiver.endpoint_url, status),
            closes=prepared.claim if last else None,
            passes=prepared.chosen.passes if last else None,
        )
        self.tally.numbers["unknown_ids"] += unknown_ids
        self.tally.add(verdicts, recorded)
        if last:
            self.unfinished.remove(prepared)
        if self.options.progress is not None:
            self.options.progress(self.tally.settled, self.tally.numbers["selected"])

    def _wait(self, seconds: float) -> None:
        """Wait, but no longer than until the stop signal."""
        self.tally.waited_s += seconds
        while seconds > 0:
            if self._stopping:
                raise DrainStopped(_INTERRUPTED)
            self.clock.sleep(min(seconds, _WAIT_SLICE_S))
            seconds -= _WAIT_SLICE_S

    def _wind_up(self) -> None:
        """Record what is on the wire, and open again what has no answer."""
        for prepared in tuple(self.unfinished):
            reply = prepared.take_reply()
            if isinstance(reply, Reply):
                self._record_plain(prepared, reply)
            if prepared in self.unfinished and prepared.claim is not None:
                self.ledger.release(self.run, prepared.claim)

    def _record_plain(self, prepared: _Prepared, reply: Reply) -> None:
        answer = self.receiver.read(reply, [event.event_id for event in prepared.events])
        if not isinstance(answer, Results):
            return
        verdicts, locked_out = sort_results(prepared.events, answer.correlation)
        if verdicts:
            self._record(prepared, verdicts, status=200, last=not locked_out, unknown_ids=0)
