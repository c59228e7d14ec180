"""Migration of one home as the commands call it: open, lock, work, report.

Reading functions write nothing and need no journal; a dry run works on a private copy of it.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync._files import Home, make_private_dir, touch_private
from spec_kitty_sync._sqlite_errors import check_place, translate
from spec_kitty_sync._sqlite_open import check_ours
from spec_kitty_sync.auth.credentials import Credentials, load_credentials
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.errors import MigrationError, SpecKittyError
from spec_kitty_sync.event_journal.corrections import Corrections
from spec_kitty_sync.identity.clock import StoredClock
from spec_kitty_sync.identity.node import generate_node_id
from spec_kitty_sync.registry_load import load_registry
from spec_kitty_sync.sync.config import Settings, SyncConfig
from spec_kitty_sync.sync.legacy_open import PATIENCE_S
from spec_kitty_sync.sync.legacy_sources import LegacySource, discover
from spec_kitty_sync.sync.migrate_backfill import backfill
from spec_kitty_sync.sync.migrate_cleanup import Cleanup, CleanupReport
from spec_kitty_sync.sync.migrate_journal import Migrator, Parts, Progress
from spec_kitty_sync.sync.migrate_report import MigrationReport
from spec_kitty_sync.sync.migrate_scope import Identity, Scopes
from spec_kitty_sync.sync.store import steps
from spec_kitty_sync.sync.workspace import Workspace, open_workspace, read_workspace

LOCK_WAIT_S = 15.0


def migrate(
    settings: Settings,
    *,
    extra: Sequence[Path] = (),
    scopes: Sequence[Identity] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
    clock: Clock | None = None,
    patience_s: float = PATIENCE_S,
) -> MigrationReport:
    """Bring the events of every legacy source into the journal; sources stay byte-identical.

    Raises:
        MigrationError: another migration of this home runs.
        StoreError: our own database failed; sources that were finished stay imported.
    """
    sources = discover(settings.home, extra)
    if not sources and not settings.home.journal_db.exists():
        return MigrationReport.of((), (), dry_run=dry_run)
    clock = clock or SystemClock()
    if dry_run:
        with _copied(settings) as copy, open_workspace(copy, clock=clock) as workspace:
            report = _run(
                workspace, settings, sources, scopes, progress=progress, patience_s=patience_s
            )
        return replace(report, dry_run=True)
    with migration_lock(settings.home), open_workspace(settings, clock=clock) as workspace:
        return _run(workspace, settings, sources, scopes, progress=progress, patience_s=patience_s)


def cleanup(
    settings: Settings,
    *,
    extra: Sequence[Path] = (),
    clock: Clock | None = None,
    patience_s: float = PATIENCE_S,
) -> CleanupReport:
    """Delete from legacy queues the rows that the journal holds, each queue backed up before.

    Raises:
        MigrationError: another migration of this home runs.
    """
    sources = discover(settings.home, extra)
    with migration_lock(settings.home), open_workspace(settings, clock=clock) as workspace:
        return Cleanup(parts_of(workspace), settings.home, patience_s=patience_s).run(sources)


@contextmanager
def deciding(settings: Settings, *, clock: Clock | None = None) -> Iterator[Parts]:
    """Give the parts of a home for decisions about conflicts, quarantine and sources."""
    with migration_lock(settings.home), open_workspace(settings, clock=clock) as workspace:
        yield parts_of(workspace)


@contextmanager
def looking(settings: Settings) -> Iterator[Parts | None]:
    """Give the parts of a home for reading only; None when it has no journal yet."""
    with read_workspace(settings) as workspace:
        yield parts_of(workspace) if workspace else None


def parts_of(workspace: Workspace) -> Parts:
    """Return what a migration needs of *workspace*."""
    facts = SqliteDeliveryFacts(workspace.store)
    return Parts(
        store=workspace.store,
        journal=workspace.journal,
        corrections=Corrections(
            workspace.store, workspace.journal, delivery=facts, clock=workspace.clock
        ),
        delivery=facts,
        registry=load_registry(),
        clock=workspace.clock,
    )


def _run(
    workspace: Workspace,
    settings: Settings,
    sources: Sequence[LegacySource],
    scopes: Sequence[Identity],
    *,
    progress: Progress | None,
    patience_s: float,
) -> MigrationReport:
    known = (*scopes, *_known_identities(settings, workspace))
    migrator = Migrator(
        parts_of(workspace),
        Scopes(known, _active_scope(settings.home)),
        patience_s=patience_s,
        progress=progress,
    )
    report = migrator.run(sources)
    _pass_imported_clocks(workspace, settings.home)
    notes = backfill(workspace, settings.home)
    return replace(report, notes=(*report.notes, *notes))


def _pass_imported_clocks(workspace: Workspace, home: Home) -> None:
    """Let our clock go past those of imported events, as it does for any event of others."""
    lamport = StoredClock(
        workspace.store, home.clock_json, node_id=generate_node_id(), wall=workspace.clock
    )
    lamport.receive_all(workspace.journal)


@contextmanager
def migration_lock(home: Home, *, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Hold the migration lock of *home*; the kernel frees it when the process dies.

    Raises:
        MigrationError: another process still holds it after *wait_s*.
    """
    home.ensure()
    make_private_dir(home.locks_dir)
    path = home.locks_dir / "migrate.lock"
    touch_private(path)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait_s, poll_interval=0.05)
    except Timeout:
        raise MigrationError(
            "another migration of this home is running",
            remedy="Wait for it to end, then run the same command again.",
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _copied(settings: Settings) -> Iterator[Settings]:
    """Give the settings of a temporary home that holds a copy of the journal."""
    with tempfile.TemporaryDirectory(prefix="spec-kitty-") as folder:
        home = Home(Path(folder) / "home").ensure()
        if settings.home.journal_db.exists():
            _copy(settings.home.journal_db, home.journal_db)
        yield replace(settings, home=home)


def _copy(journal: Path, target: Path) -> None:
    check_place(journal)
    try:
        with (
            closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as origin,
            closing(sqlite3.connect(target)) as copy,
        ):
            check_ours(origin, journal, len(steps()))  # a complaint names the original
            origin.backup(copy)
    except sqlite3.Error as exc:
        raise translate(exc, journal) from exc


def _known_identities(settings: Settings, workspace: Workspace) -> Iterator[Identity]:
    """Yield every server, user and team that this home knows, as far as it can be read."""
    # Not the workspace's own: a dry run works in a copy that has the journal alone.
    yield Identity(SyncConfig.load(settings.home).server_url, None, None)
    yield Identity(settings.env("SPEC_KITTY_SAAS_URL"), None, None)
    credentials = _credentials(settings.home)
    if credentials is not None:
        yield Identity(credentials.server_url, credentials.username, credentials.team_slug)
    for target in workspace.targets.all():
        yield Identity(target.url, target.user_email, target.team_slug)


def _credentials(home: Home) -> Credentials | None:
    try:
        return load_credentials(home.credentials)
    except SpecKittyError:
        return None  # whoever needs them complains; here they would only explain a digest


def _active_scope(home: Home) -> tuple[str, ...]:
    """Return the scope that an old CLI noted in plain text."""
    try:
        text = home.active_queue_scope.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ()
    return (text,) if text else ()
