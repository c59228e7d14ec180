"""What is kept: gc, archive, export, verify, backup and restore."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from spec_kitty_sync.sync.config import Settings

if TYPE_CHECKING:
    from spec_kitty_sync.event_journal.retention import Removed
    from spec_kitty_sync.sync.backup import BackupReport, RestoreReport
    from spec_kitty_sync.sync.retaining import Exported, GcResult, Verified


def gc(
    settings: Settings,
    reasons: Sequence[str] = ("delivered",),
    *,
    older_than_s: float | None = None,
    dry_run: bool = True,
    vacuum: bool = False,
) -> GcResult:
    """Clear the bytes of what *reasons* cover; by default only say what would go."""
    from spec_kitty_sync.sync import retaining

    if dry_run:
        return retaining.preview_gc(settings, tuple(reasons), older_than_s=older_than_s)
    return retaining.collect(settings, tuple(reasons), older_than_s=older_than_s, vacuum=vacuum)


def archive(settings: Settings, path: Path, *, older_than_s: float | None = None) -> Removed:
    """Export what gc would take to *path* (JSON Lines, gzip), then clear the bytes.

    Raises:
        UsageError, StoreError, SourceError: no byte was cleared.
    """
    from spec_kitty_sync.sync import retaining

    return retaining.archive(settings, path, older_than_s=older_than_s)


def export(settings: Settings, path: Path, *, out: BinaryIO | None = None) -> Exported:
    """Write every event as it is stored, one to a line, held ones too; reads only.

    Raises:
        UsageError, StoreFullError: nothing is left of the file.
    """
    from spec_kitty_sync.sync import retaining

    return retaining.export(settings, path, out=out)


def verify(settings: Settings) -> Verified:
    """Compare every stored event with its hash, and recount what is counted; reads only.

    Raises:
        StoreCorruptError: the database itself is damaged.
    """
    from spec_kitty_sync.sync import retaining

    return retaining.verify(settings)


def back_up(settings: Settings, path: Path) -> BackupReport:
    """Copy the home's database to *path*, consistent and verified.

    Raises:
        UsageError: the file exists, or the home has no journal.
        StoreError: the database cannot be read, or the disk is full.
    """
    from spec_kitty_sync.sync import backup

    return backup.back_up(settings.home, path.absolute())


def restore(settings: Settings, path: Path) -> RestoreReport:
    """Put the backup *path* in place of the home's database; newer events are kept.

    Raises:
        UsageError, StoreError, DrainLockedError: nothing was changed.
    """
    from spec_kitty_sync.sync import backup

    return backup.restore(settings.home, path.absolute())
