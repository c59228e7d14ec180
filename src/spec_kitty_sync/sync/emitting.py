"""An emitter for the project that a command was started in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.config import DiscardAudit
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.identity.clock import StoredClock
from spec_kitty_sync.registry_load import load_registry
from spec_kitty_sync.sync.blocked import BlockedRuns
from spec_kitty_sync.sync.config import Settings, SyncConfig
from spec_kitty_sync.sync.correlation import Correlations
from spec_kitty_sync.sync.emitter import EmitterParts, EventEmitter
from spec_kitty_sync.sync.gates import GateKeeper, look
from spec_kitty_sync.sync.live import LiveDelivery
from spec_kitty_sync.sync.project_context import project_context
from spec_kitty_sync.sync.store import open_home

_LOG = logging.getLogger(__name__)
CORRELATION_VARIABLE = "SPEC_KITTY_CORRELATION_ID"


@contextmanager
def open_emitter(settings: Settings, *, clock: Clock | None = None) -> Iterator[EventEmitter]:
    """Open the home and yield its emitter, without background delivery."""
    wall = clock or SystemClock()
    with open_home(settings.home, synchronous=capture_config(settings).synchronous) as store:
        emitter = build_emitter(settings, store, wall=wall)
        try:
            yield emitter
        finally:
            emitter.close()


def build_emitter(
    settings: Settings,
    store: Store,
    *,
    wall: Clock,
    on_waiting: Callable[[], None] = lambda: None,
) -> EventEmitter:
    """Return the emitter of an open home; wrong settings block delivery, never capture."""
    from ulid import ULID

    config = capture_config(settings)
    journal = SqliteJournal(store, clock=wall, delivery=SqliteDeliveryFacts(store))
    registry = TargetRegistry(store, clock=wall)
    keeper = GateKeeper(settings, lambda: look(settings, clock=wall, registry=registry), wall)
    project = project_context(settings.cwd, settings.home)
    lamport = StoredClock(store, settings.home.clock_json, node_id=project.node_id, wall=wall)
    lamport.recover(journal)

    def new_id() -> str:
        return str(ULID())

    parts = EmitterParts(
        store=store,
        registry=load_registry(),
        wall=wall,
        new_id=new_id,
        project=project,
        correlations=Correlations(new_id, chosen=settings.env(CORRELATION_VARIABLE)),
        runs=BlockedRuns(store, clock=wall),
        discards=DiscardAudit(store, clock=wall),
        blocked=keeper.look,
        policy=keeper.policy,
        live=LiveDelivery(store, wall, settings.home.locks_dir, lambda: keeper.situation).deliver,
        on_waiting=on_waiting,
    )
    return EventEmitter(lamport, keeper, config, journal, parts=parts)


def capture_config(settings: Settings) -> SyncConfig:
    """Return config.toml's settings, or the defaults where it is wrong: capture goes on."""
    try:
        return SyncConfig.load(settings.home)
    except UsageError as exc:
        _LOG.warning("events are kept with default settings: %s", exc.message)
        return SyncConfig()
