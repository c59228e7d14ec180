"""What `sync migrate …` does, for Python users: the migration's part of `spec_kitty_sync.api`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spec_kitty_sync.sync.config import Settings

if TYPE_CHECKING:
    from spec_kitty_sync.sync.migrate_cleanup import CleanupReport
    from spec_kitty_sync.sync.migrate_conflicts import Conflict, Resolution
    from spec_kitty_sync.sync.migrate_quarantine import QuarantinedRow
    from spec_kitty_sync.sync.migrate_report import MigrationReport
    from spec_kitty_sync.sync.migrate_sources import KnownSource


def migrate(
    settings: Settings,
    *,
    extra: Sequence[Path] = (),
    scopes: Sequence[str] = (),
    dry_run: bool = False,
    watch: Callable[[str, int], None] | None = None,
) -> MigrationReport:
    """Bring the events of older versions' queues into the journal; the queues stay as they are.

    *scopes* are `server,user,team` triples that may explain whose queue a file was. *watch* is
    told (source, rows read).

    Raises:
        UsageError: a scope that is none.
        MigrationError: another migration of this home runs.
    """
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_scope import parse_scope

    known = tuple(parse_scope(scope) for scope in scopes)
    return migrate_home.migrate(
        settings, extra=extra, scopes=known, dry_run=dry_run, progress=watch
    )


def clean_queues(settings: Settings, *, extra: Sequence[Path] = ()) -> CleanupReport:
    """Delete from older versions' queues the rows that the journal provably holds."""
    from spec_kitty_sync.sync import migrate_home

    return migrate_home.cleanup(settings, extra=extra)


def conflicts(settings: Settings) -> tuple[Conflict, ...]:
    """Return every id whose content differs between sources; reads only."""
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_conflicts import Conflicts

    with migrate_home.looking(settings) as parts:
        return Conflicts(parts).open() if parts else ()


def conflict(settings: Settings, name: str) -> Conflict:
    """Return the open conflict of an event id, or of one variant's number; reads only.

    Raises:
        UsageError: nothing of that name is in conflict.
    """
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_conflicts import Conflicts, not_in_conflict

    with migrate_home.looking(settings) as parts:
        if parts is None:
            raise not_in_conflict(name)
        return Conflicts(parts).show(name)


def resolve_conflicts(
    settings: Settings,
    name: str | None = None,
    *,
    keep: Literal["journal", "source"],
    kind: str | None = None,
    reason: str = "",
) -> tuple[Resolution, ...]:
    """Decide one conflict, or without *name* every open one (of class *kind*); audited.

    Raises:
        UsageError: nothing of that name is in conflict, or it has several other contents.
        MigrationError: the source's content cannot take the journal's place.
    """
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_conflicts import Conflicts

    with migrate_home.deciding(settings) as parts:
        found = Conflicts(parts)
        if name is None:
            return found.resolve_all(keep=keep, kind=kind, reason=reason)
        return (found.resolve(name, keep=keep, reason=reason),)


def quarantine(settings: Settings) -> tuple[QuarantinedRow, ...]:
    """Return the rows that could not become events and wait for a decision; reads only."""
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_quarantine import Quarantine

    with migrate_home.looking(settings) as parts:
        return Quarantine(parts).open() if parts else ()


def quarantined_row(settings: Settings, number: int) -> tuple[QuarantinedRow, bytes | None]:
    """Return one quarantined row and its bytes; reads only.

    Raises:
        UsageError: no row has that number.
    """
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_quarantine import Quarantine, no_such_row

    with migrate_home.looking(settings) as parts:
        if parts is None:
            raise no_such_row(number)
        return Quarantine(parts).show(number)


def export_quarantine(settings: Settings, target: Path) -> int:
    """Write the open quarantined rows to *target* as JSON Lines; return how many.

    Raises:
        UsageError: the file exists.
    """
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_quarantine import Quarantine

    with migrate_home.looking(settings) as parts:
        return Quarantine(parts).export(target) if parts else 0


def accept_quarantine(
    settings: Settings, numbers: Sequence[int] | None = None, *, reason: str = ""
) -> int:
    """Take note that rows (None: all) will not be imported; return how many. Audited."""
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_quarantine import Quarantine

    with migrate_home.deciding(settings) as parts:
        return Quarantine(parts).accept(numbers, reason=reason)


def legacy_sources(settings: Settings) -> tuple[KnownSource, ...]:
    """Return every source of older versions that is there or was read before; reads only."""
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_sources import list_sources

    with migrate_home.looking(settings) as parts:
        return list_sources(settings.home, parts.store if parts else None)


def ignore_source(settings: Settings, path: Path, *, reason: str) -> KnownSource:
    """Leave a source alone until its bytes change; audited.

    Raises:
        UsageError: nothing is there, or no reason is given.
    """
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_sources import ignore

    with migrate_home.deciding(settings) as parts:
        return ignore(settings.home, parts.store, path, reason=reason, clock=parts.clock)


def unignore_source(settings: Settings, path: Path) -> KnownSource:
    """Read an ignored source again from the next migration on; audited.

    Raises:
        UsageError: it is not ignored.
    """
    from spec_kitty_sync.sync import migrate_home
    from spec_kitty_sync.sync.migrate_sources import unignore

    with migrate_home.deciding(settings) as parts:
        return unignore(parts.store, path, clock=parts.clock)
