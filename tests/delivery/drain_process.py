"""One drain in a process of its own: prints the report's numbers as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.delivery.dispatcher import Dispatcher, DrainOptions
from spec_kitty_sync.delivery.ledger import SqliteLedger
from spec_kitty_sync.delivery.receivers import ReceiverOptions, StubReceiver
from spec_kitty_sync.delivery.selection import Limits
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.errors import DrainLockedError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.sync.store import open_home


def main() -> None:
    """Drain the home argv[1] to the URL argv[2], waiting argv[3] seconds for the lock."""
    home, url, wait_s = Home(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3])
    clock = SystemClock()
    with open_home(home) as store, HttpClient() as client:
        dispatcher = Dispatcher(
            store,
            SqliteJournal(store, clock=clock),
            ledger=SqliteLedger(store, clock=clock),
            clock=clock,
        )
        receiver = StubReceiver(url, client, options=ReceiverOptions(Limits(events=10)))
        target = TargetRegistry(store, clock=clock).ensure(url)
        try:
            report = dispatcher.drain(
                target, receiver, locks_dir=home.locks_dir, options=DrainOptions(lock_wait_s=wait_s)
            )
        except DrainLockedError as exc:
            sys.stdout.write(json.dumps({"locked": exc.message, "pid": exc.facts.get("pid")}))
            return
        sys.stdout.write(json.dumps({"selected": report.selected, "delivered": report.delivered}))


if __name__ == "__main__":
    main()
