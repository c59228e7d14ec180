"""A home with a journal and a ledger, wired as the runtime wires them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ulid import ULID

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.dispatcher import Dispatcher, DrainOptions
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.ledger import SqliteLedger
from spec_kitty_sync.delivery.receivers import (
    DeliveryReceiver,
    ExternalReceiver,
    ReceiverOptions,
    RetrySemantics,
)
from spec_kitty_sync.delivery.report import DrainReport
from spec_kitty_sync.delivery.selection import Limits
from spec_kitty_sync.delivery.soundness import find_faults
from spec_kitty_sync.delivery.targets import Target, TargetRegistry
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import Admitted, admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

PROJECT = "550e8400-e29b-41d4-a716-446655440000"


def make_event(**fields: Any) -> Admitted:
    """Return an admitted event; keywords replace envelope fields."""
    envelope: dict[str, Any] = {
        "event_id": str(ULID()),
        "event_type": "HistoryAdded",
        "aggregate_id": "WP01",
        "aggregate_type": "WorkPackage",
        "payload": {"wp_id": "WP01", "entry_type": "note", "entry_content": "x"},
        "timestamp": "2026-02-12T10:00:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": 1,
        "project_uuid": PROJECT,
        **fields,
    }
    return admit(json.dumps(envelope).encode(), registry=default_registry())


@dataclass
class Bench:
    """All parts of one home, wired as the runtime wires them."""

    home: Home
    store: Store
    clock: ManualClock
    journal: SqliteJournal
    ledger: SqliteLedger
    registry: TargetRegistry
    dispatcher: Dispatcher
    client: HttpClient

    def append(self, n: int = 1, **fields: Any) -> list[str]:
        """Append *n* events and return their ids in order."""
        events = [make_event(**fields) for _ in range(n)]
        self.journal.append_many(events)
        return [event.event_id for event in events]

    make = staticmethod(make_event)

    def target(self, url: str, **identity: Any) -> Target:
        return self.registry.ensure(url, **identity)

    def receiver(self, url: str, *, batch: int = 1000, **retry: Any) -> DeliveryReceiver:
        options = ReceiverOptions(Limits(events=batch), RetrySemantics(**retry), self.clock)
        return ExternalReceiver(url, self.client, options=options)

    def drain(
        self,
        url: str,
        *,
        receiver: DeliveryReceiver | None = None,
        batch: int = 1000,
        target: Target | None = None,
        **options: Any,
    ) -> DrainReport:
        """Drain to *url* and check that the numbers add up and the ledger is sound."""
        report = self.dispatcher.drain(
            target or self.target(url),
            receiver or self.receiver(url, batch=batch),
            locks_dir=self.home.locks_dir,
            options=DrainOptions(**{"lock_wait_s": 0.0, **options}),
        )
        assert report.adds_up, report
        self.check()
        return report

    def check(self) -> None:
        """The mark's invariant and the maintained counts hold."""
        assert find_faults(self.store) == []

    def rows(self, url: str, **identity: Any) -> dict[str, tuple[str, str]]:
        """Return event id → (state, category) in the target's current epoch."""
        target = self.registry.find(url, **identity)
        assert target is not None
        return {
            event_id: (state, category)
            for event_id, state, category in self.store.conn.execute(
                "SELECT j.event_id, l.state, l.category FROM delivery_ledger l"
                " JOIN journal_ids j ON j.seq = l.seq WHERE l.target_id = ? AND l.epoch = ?"
                " ORDER BY l.seq",
                (target.target_id, target.epoch),
            )
        }

    def states(self, url: str, **identity: Any) -> dict[str, str]:
        return {key: state for key, (state, _) in self.rows(url, **identity).items()}

    def seqs(self, ids: Sequence[str]) -> list[int]:
        return [record.seq for i in ids if (record := self.journal.get(i)) is not None]


def build(
    home: Home, clock: ManualClock, client: HttpClient, *, synchronous: str = "FULL"
) -> Bench:
    """Open *home* and wire its parts."""
    store = open_home(home, synchronous=synchronous)
    journal = SqliteJournal(store, clock=clock, delivery=SqliteDeliveryFacts(store))
    ledger = SqliteLedger(store, clock=clock)
    registry = TargetRegistry(store, clock=clock)
    dispatcher = Dispatcher(store, journal, ledger=ledger, clock=clock)
    return Bench(home, store, clock, journal, ledger, registry, dispatcher, client)
