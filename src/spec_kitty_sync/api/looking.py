"""How things stand: status, doctor, diagnose, single events, the log. All of it reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spec_kitty_sync.sync.config import Settings

if TYPE_CHECKING:
    from spec_kitty_sync.delivery.history import LogEntry
    from spec_kitty_sync.diagnose import Diagnosis, Rules
    from spec_kitty_sync.sync.doctor import DoctorReport
    from spec_kitty_sync.sync.event_view import EventLine, EventView
    from spec_kitty_sync.sync.status_report import StatusReport


def status(settings: Settings, *, check: bool = False) -> StatusReport:
    """Return how things stand; reads only. With *check* the server is asked too.

    Raises:
        StoreError: the journal cannot be read.
    """
    from spec_kitty_sync.sync.status import build_status

    return build_status(settings, check=check)


def doctor(settings: Settings) -> DoctorReport:
    """Return everything for a bug report; asks the server, changes nothing."""
    from spec_kitty_sync.sync.doctor import examine

    return examine(settings)


def diagnose(
    settings: Settings,
    rules: Rules,
    *,
    paths: Sequence[Path] = (),
    schema_dirs: Sequence[Path] = (),
) -> Diagnosis:
    """Return a diagnosis of *paths*, or without any of what waits in the home; reads only.

    *schema_dirs* hold JSON Schemas of event types that are to be known too. Nothing is read
    before the diagnosis' `results` are iterated.

    Raises:
        UsageError: a pack that nobody registered.
        RegistryLoadError: an extension is broken.
    """
    from spec_kitty_sync.diagnose import Diagnosis
    from spec_kitty_sync.registry_load import load_registry
    from spec_kitty_sync.sync.diagnose_sources import named_sources, waiting_sources

    validator = rules.validator(load_registry(schema_dirs=schema_dirs))
    sources = named_sources(paths) if paths else waiting_sources(settings)
    return Diagnosis(sources, validator.validate)


def show(settings: Settings, event_id: str) -> EventView:
    """Return everything that is known of one event; reads only.

    Raises:
        UsageError: the journal has no such event.
    """
    from spec_kitty_sync.sync.event_view import show_event

    return show_event(settings, event_id)


def list_events(
    settings: Settings, *, state: str | None = None, held: str | None = None, limit: int = 20
) -> tuple[EventLine, ...]:
    """Return the first events in *state*, or held for the reason *held*; reads only."""
    from spec_kitty_sync.sync import event_view

    return event_view.list_events(settings, state=state, held=held, limit=limit)


def stored_lines(
    settings: Settings, *, state: str | None = None, held: str | None = None, limit: int
) -> Iterator[str]:
    """Yield the stored text of the events that `list_events` lists, each on one line."""
    from spec_kitty_sync.sync import event_view

    return event_view.stored_lines(settings, state=state, held=held, limit=limit)


def log(settings: Settings, *, limit: int = 20) -> tuple[LogEntry, ...]:
    """Return the last answers of any server, the newest first; reads only."""
    from spec_kitty_sync.delivery.history import recent_log
    from spec_kitty_sync.sync.workspace import read_workspace

    with read_workspace(settings) as workspace:
        return recent_log(workspace.store, limit) if workspace else ()
