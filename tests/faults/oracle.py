"""What must be true of a home after any fault, whatever the fault was.

`examine` is told what the world outside the home knows: which events were acknowledged to their
producer (`append` had returned), and, in the `RecordedWire`, what was sent and what was answered.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from legacy_homes import event
from recorded_wire import TARGET, ids_in

from spec_kitty_sync._clock import Clock, ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import Reply
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.dispatcher import Dispatcher, DrainOptions
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.ledger import SqliteLedger
from spec_kitty_sync.delivery.receivers import ExternalReceiver, ReceiverOptions
from spec_kitty_sync.delivery.report import DrainReport
from spec_kitty_sync.delivery.selection import Limits
from spec_kitty_sync.delivery.soundness import find_faults
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import Admitted, admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home

__all__ = ["TARGET", "Findings", "Wire", "drain", "examine", "journal_of", "make_event"]

_MUCH_LATER_MS = 4_102_444_800_000  # 2100: whatever was put off is due

_ROWS = "SELECT event_id, body, body_sha256, removed FROM event_journal ORDER BY seq"
_DELIVERED = """
SELECT j.event_id FROM delivery_ledger l JOIN delivery_targets t USING (target_id, epoch)
JOIN event_journal j USING (seq) WHERE t.url = ? AND l.state = 'delivered'
"""
_EVER_DELIVERED = """
SELECT DISTINCT j.event_id FROM delivery_ledger l JOIN delivery_targets t USING (target_id)
JOIN event_journal j USING (seq) WHERE t.url = ? AND l.state = 'delivered'
"""
_COUNTED = """
SELECT local_only, team, hold, superseded, removed, sum(events), sum(bytes)
FROM event_journal_count GROUP BY 1, 2, 3, 4, 5 HAVING sum(events) <> 0 ORDER BY 1, 2, 3, 4, 5
"""
_RECOUNTED = """
SELECT tier = 0, coalesce(team, ''), coalesce(hold, ''), superseded_by IS NOT NULL,
       coalesce(removed, ''), count(*), sum(body_bytes)
FROM event_journal GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
"""
_NEVER_TO_LEAVE = """
SELECT event_id FROM event_journal WHERE tier = 0 OR superseded_by IS NOT NULL
"""
_UNSETTLED = """
SELECT c.event_id, coalesce(l.state, 'no row')
FROM delivery_candidates c JOIN delivery_targets t USING (target_id)
LEFT JOIN delivery_ledger l USING (target_id, seq)
WHERE t.url = ? AND c.barrier IS NULL AND coalesce(l.epoch, t.epoch) = t.epoch
  AND coalesce(l.state, '') NOT IN ('delivered', 'dead_letter', 'terminal_failed')
"""


class Wire(Protocol):
    """Where a drain's requests go, and what the far end knows of them."""

    @property
    def url(self) -> str: ...

    def request(self, method: str, url: str, **request: object) -> Reply: ...

    def sent(self) -> list[bytes]: ...

    def accepted(self) -> set[str]: ...


@dataclass(frozen=True)
class Findings:
    """What a home looked like before the fresh drain, and what that drain sent."""

    stored: int
    delivered: int
    sent_again: int


def make_event(number: int, **changes: object) -> Admitted:
    """Return the admitted event of *number*: always the same bytes."""
    return admit(json.dumps(event(number, **changes)).encode(), registry=default_registry())


def journal_of(store: Store, clock: Clock) -> SqliteJournal:
    """Return the journal of an open home, wired as the runtime wires it."""
    return SqliteJournal(store, clock=clock, delivery=SqliteDeliveryFacts(store))


def drain(
    store: Store,
    home: Home,
    wire: Wire,
    *,
    clock: Clock | None = None,
    batch: int = 1000,
) -> DrainReport:
    """Drain an open home to the wire; everything but the socket is the product's."""
    clock = clock or ManualClock()
    dispatcher = Dispatcher(
        store, journal_of(store, clock), ledger=SqliteLedger(store, clock=clock), clock=clock
    )
    options = ReceiverOptions(Limits(events=batch), clock=clock)
    return dispatcher.drain(
        TargetRegistry(store, clock=clock).ensure(wire.url),
        ExternalReceiver(wire.url, wire, options=options),
        locks_dir=home.locks_dir,
        options=DrainOptions(lock_wait_s=10),
    )


def examine(home: Home, acknowledged: Mapping[str, bytes], wire: Wire) -> Findings:
    """Assert everything that no fault may take away; the last look at *home*, for it delivers.

    *acknowledged* is event id → bytes. The wire answers well from now on.
    """
    with open_home(home) as store:
        bodies = _sound_bodies(store.conn)
        _nothing_lost(store.conn, bodies, acknowledged, wire.url)
        _only_true_deliveries(store.conn, bodies, wire)
        assert find_faults(store) == [], "the ledger is not sound"
        counted, rows = (store.conn.execute(each).fetchall() for each in (_COUNTED, _RECOUNTED))
        assert counted == rows, "the journal's counts are wrong"
        delivered = {row[0] for row in store.conn.execute(_DELIVERED, (wire.url,))}
        before = len(wire.sent())
        fresh = make_event(999_999)
        journal_of(store, ManualClock()).append(fresh)
        report = drain(store, home, wire, clock=ManualClock(_MUCH_LATER_MS))
        assert report.stop is None, report.stop
        again = [each for body in wire.sent()[before:] for each in ids_in(body)]
        assert not delivered & set(again), "sent again what was recorded delivered"
        assert fresh.event_id in again, "a fresh event does not get through"
        left = store.conn.execute(_UNSETTLED, (wire.url,)).fetchall()
        assert left == [], "a whole drain left events behind"
        _sound_bodies(store.conn)
        _only_true_deliveries(store.conn, {**bodies, fresh.event_id: fresh.body}, wire)
        assert find_faults(store) == [], "the ledger is not sound after the drain"
    return Findings(len(bodies), len(delivered), len(again) - 1)


def _sound_bodies(conn: sqlite3.Connection) -> dict[str, bytes | None]:
    """Return id → body; every page and every row's hash is right."""
    found = conn.execute("PRAGMA integrity_check").fetchall()
    assert found == [("ok",)], "the database is damaged"
    bodies = {}
    for event_id, body, sha256, removed in conn.execute(_ROWS):
        assert (body is None) == (removed is not None), f"half removed: {event_id}"
        whole = body is None or hashlib.sha256(body).digest() == sha256
        assert whole, f"bytes and hash differ: {event_id}"
        bodies[event_id] = body
    return bodies


def _nothing_lost(
    conn: sqlite3.Connection,
    bodies: Mapping[str, bytes | None],
    acknowledged: Mapping[str, bytes],
    url: str,
) -> None:
    """Every acknowledged event is there, to the byte, or was taken away after its delivery."""
    lost = sorted(acknowledged.keys() - bodies.keys())
    assert lost == [], "acknowledged and lost"
    gone = {i for i, body in acknowledged.items() if bodies[i] is None}
    free = {row[0] for row in conn.execute(_EVER_DELIVERED, (url,))}
    free |= {row[0] for row in conn.execute(_NEVER_TO_LEAVE)}
    assert gone <= free, "taken away before it was delivered"
    other = [i for i, body in acknowledged.items() if bodies[i] not in (None, body)]
    assert other == [], "acknowledged and stored otherwise"


def _only_true_deliveries(
    conn: sqlite3.Connection, bodies: Mapping[str, bytes | None], wire: Wire
) -> None:
    """The ledger calls delivered only what an answer called so; the wire saw only our bytes."""
    recorded = {row[0] for row in conn.execute(_EVER_DELIVERED, (wire.url,))}
    assert recorded <= wire.accepted(), "recorded as delivered, but no answer said so"
    for body in wire.sent():
        ids = ids_in(body)
        assert set(ids) <= bodies.keys(), "sent, but not in the journal"
        if all(bodies[each] is not None for each in ids):
            joined = b",".join(bodies[each] or b"" for each in ids)
            assert body == b'{"events":[' + joined + b"]}", "sent other bytes than stored"
