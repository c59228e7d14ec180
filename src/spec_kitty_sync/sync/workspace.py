"""One opened home: the two domains on one database, wired together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.counting import read_counts
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.ledger import SqliteLedger
from spec_kitty_sync.delivery.targets import Target, TargetRegistry
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.event_journal.models import CountGroup
from spec_kitty_sync.sync.config import Settings, SyncConfig
from spec_kitty_sync.sync.store import open_home, read_home
from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget, resolve_target

_BEYOND = """
SELECT c.barrier, count(*) FROM delivery_candidates c
WHERE c.target_id = :target_id AND c.seq > :mark
  AND NOT EXISTS (SELECT 1 FROM delivery_ledger l
                  WHERE l.target_id = :target_id AND l.epoch = :epoch AND l.seq = c.seq)
GROUP BY c.barrier
"""


@dataclass(frozen=True)
class Workspace:
    """The parts that a command works with; `store` is open for as long as the workspace is."""

    settings: Settings
    config: SyncConfig
    resolved: ResolvedSyncTarget
    clock: Clock
    store: Store
    journal: SqliteJournal
    ledger: SqliteLedger
    targets: TargetRegistry

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

    def beyond(self, target: Target | None) -> dict[str | None, int]:
        """Return barrier → number of events that the ledger has no row for yet.

        The key None counts those that may leave. Before the first drain, and without a target,
        the maintained groups answer; else the rows behind the mark are counted.
        """
        if target is None or not read_counts(self.store, target):
            team = target.team_slug if target else self.resolved.team_slug
            return _grouped(self.journal.counts(), team)
        with self.store.reading() as conn:
            where = {"target_id": target.target_id, "epoch": target.epoch, "mark": target.mark}
            rows = conn.execute(_BEYOND, where).fetchall()
        return dict(rows)


def barrier_of(group: CountGroup, team: str | None) -> str | None:
    """Return why events of *group* stay here for a target of *team*; None if they may leave."""
    if group.removed:
        return "archived"
    if group.superseded:
        return "superseded"
    if group.hold:
        return group.hold
    if group.local_only:
        return "local_only"
    if team and group.team and group.team != team:
        return "other_team"
    return None


def _grouped(groups: tuple[CountGroup, ...], team: str | None) -> dict[str | None, int]:
    found: dict[str | None, int] = {}
    for group in groups:
        barrier = barrier_of(group, team)
        found[barrier] = found.get(barrier, 0) + group.events
    return found


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
    return Workspace(
        settings=settings,
        config=config,
        resolved=resolve_target(settings, config),
        clock=clock,
        store=store,
        journal=SqliteJournal(store, clock=clock, delivery=SqliteDeliveryFacts(store)),
        ledger=SqliteLedger(store, clock=clock),
        targets=TargetRegistry(store, clock=clock),
    )
