"""One opened home: the two domains on one database, wired together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.targets import Target, TargetRegistry
from spec_kitty_sync.sync.config import Settings, SyncConfig
from spec_kitty_sync.sync.store import open_home, read_home
from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget, resolve_target

if TYPE_CHECKING:
    from spec_kitty_sync.delivery.ledger import SqliteLedger
    from spec_kitty_sync.event_journal.corrections import Corrections
    from spec_kitty_sync.event_journal.journal import SqliteJournal
    from spec_kitty_sync.event_journal.retention import Retention


@dataclass(frozen=True)
class Workspace:
    """What a command works with; `store` is open for as long as the workspace is.

    The parts are made when they are first asked for, so that a report loads only what it reads.
    """

    settings: Settings
    config: SyncConfig
    resolved: ResolvedSyncTarget
    clock: Clock
    store: Store

    @cached_property
    def targets(self) -> TargetRegistry:
        return TargetRegistry(self.store, clock=self.clock)

    @cached_property
    def journal(self) -> SqliteJournal:
        from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
        from spec_kitty_sync.event_journal.journal import SqliteJournal

        facts = SqliteDeliveryFacts(self.store)
        return SqliteJournal(self.store, clock=self.clock, delivery=facts)

    @cached_property
    def ledger(self) -> SqliteLedger:
        from spec_kitty_sync.delivery.ledger import SqliteLedger

        return SqliteLedger(self.store, clock=self.clock)

    @cached_property
    def corrections(self) -> Corrections:
        from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
        from spec_kitty_sync.event_journal.corrections import Corrections

        facts = SqliteDeliveryFacts(self.store)
        return Corrections(self.store, self.journal, delivery=facts, clock=self.clock)

    @cached_property
    def retention(self) -> Retention:
        from spec_kitty_sync.event_journal.retention import Retention
        from spec_kitty_sync.sync.chosen import register_chosen

        return Retention(
            self.store,
            self.journal,
            clock=self.clock,
            before_removing=lambda: register_chosen(self.settings, self.targets),
        )

    def known_target(self) -> Target | None:
        """Return the resolved target's row; None if nothing was ever sent there."""
        url = self.resolved.resolved_server_url
        if url is None:
            return None
        return self.targets.find(
            url, team_slug=self.resolved.team_slug, user_email=self.resolved.user_id
        )

    def active_target(self) -> Target:
        """Return the resolved target's row, registering it.

        Raises:
            NoTargetError, AmbiguousTargetError
        """
        return self.targets.ensure(
            self.resolved.require(),
            team_slug=self.resolved.team_slug,
            user_email=self.resolved.user_id,
        )


@contextmanager
def open_workspace(settings: Settings, *, clock: Clock | None = None) -> Iterator[Workspace]:
    """Open the home for work, creating what is missing."""
    config = SyncConfig.load(settings.home)
    with open_home(settings.home, synchronous=config.synchronous) as store:
        yield _wire(settings, config, store, clock or SystemClock())


@contextmanager
def read_workspace(settings: Settings, *, clock: Clock | None = None) -> Iterator[Workspace | None]:
    """Open the home for reading; None when it has no journal yet. Writes nothing."""
    config = SyncConfig.load(settings.home)
    store = read_home(settings.home)
    if store is None:
        yield None
        return
    with store:
        yield _wire(settings, config, store, clock or SystemClock())


def _wire(settings: Settings, config: SyncConfig, store: Store, clock: Clock) -> Workspace:
    return Workspace(settings, config, resolve_target(settings, config), clock, store)
