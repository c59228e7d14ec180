"""One event at a time over the live connection, settled in the ledger like any other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.ledger import Answered, SqliteLedger, Verdict
from spec_kitty_sync.delivery.lock import drain_lock
from spec_kitty_sync.delivery.runs import Run, begin_run, end_run
from spec_kitty_sync.delivery.selection import Limits, Selection
from spec_kitty_sync.delivery.targets import Target, TargetRegistry
from spec_kitty_sync.errors import DrainLockedError, SpecKittyError
from spec_kitty_sync.events.admission import Admitted
from spec_kitty_sync.sync.gates import Situation
from spec_kitty_sync.sync.websocket import WebSocketClient

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveDelivery:
    """Sends an event live, if it is the next one due and nobody drains.

    `situation` gives the latest look at the gates; None closes them all.
    """

    store: Store
    clock: Clock
    locks_dir: Path
    situation: Callable[[], Situation | None]

    def deliver(self, client: WebSocketClient, seq: int, event: Admitted) -> bool:
        """Send one event and record its answer; False leaves it to the drain. Never raises for
        what goes wrong on the way."""
        situation = self.situation()
        if situation is None or situation.target.resolved_server_url != client.server_url:
            return False
        if situation.target.login != client.login:
            return False  # the session is that of whoever was logged in before
        registry = TargetRegistry(self.store, clock=self.clock)
        try:
            target = registry.ensure(
                client.server_url,
                team_slug=situation.target.team_slug,
                user_email=situation.target.user_id,
            )
            with drain_lock(self.locks_dir, target.target_id, clock=self.clock, wait_s=0):
                limit = situation.config.max_retries
                return self._deliver_locked(client, target, seq, event, max_rejections=limit)
        except DrainLockedError:
            return False
        except SpecKittyError as exc:
            _LOG.warning("live delivery failed, the event waits for the drain: %s", exc.message)
            return False

    def _deliver_locked(
        self,
        client: WebSocketClient,
        target: Target,
        seq: int,
        event: Admitted,
        *,
        max_rejections: int,
    ) -> bool:
        ledger = SqliteLedger(self.store, clock=self.clock)
        with self.store.transaction():
            run = begin_run(self.store, target, clock=self.clock, max_rejections=max_rejections)
            chosen = Selection(self.store, run, Limits(events=1)).next(1)
            if chosen.seqs != (seq,) or chosen.held:
                return False
            claim = ledger.claim(run, chosen.seqs)
        result = client.exchange(event.event_id, event.body)
        if result is None or result.needs_login:
            ledger.release(run, claim)
            return False
        self._record(ledger, run, Verdict(seq, result), claim=claim, passes=chosen.passes)
        return True

    def _record(
        self, ledger: SqliteLedger, run: Run, verdict: Verdict, *, claim: int, passes: int | None
    ) -> None:
        endpoint = run.target.url
        with self.store.transaction():
            ledger.record(
                run, [verdict], Answered(endpoint, None, "live"), closes=claim, passes=passes
            )
            end_run(self.store, run, stop=None)
