"""Taking bytes away when asked, and the way out for everything (CONTRACT 6, Retention)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spec_kitty_sync._files import create_private, discard_file, disk_error, sync_dir
from spec_kitty_sync.delivery.resets import reset_seen_at
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.event_journal.models import Damaged
from spec_kitty_sync.event_journal.retention import Removed
from spec_kitty_sync.sync.chosen import unregistered
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.soundness import find_faults
from spec_kitty_sync.sync.status import target_summary
from spec_kitty_sync.sync.status_report import TargetSummary
from spec_kitty_sync.sync.workspace import Workspace, open_workspace, read_workspace

DELIVERED = "delivered"
_EVERY_TARGET = frozenset({DELIVERED, "dead"})  # go only when no active target needs them


@dataclass(frozen=True)
class GcResult:
    """What went, or would go, for each reason that was asked for. Sizes in bytes.

    In a preview, `waits_for` are active targets that have fewer events than another one, and
    `not_begun` the addresses of chosen targets that nothing was sent to yet.
    """

    reasons: dict[str, Removed]
    dry_run: bool
    freed_on_disk: int | None = None
    waits_for: tuple[TargetSummary, ...] = ()
    not_begun: tuple[str, ...] = ()

    @property
    def events(self) -> int:
        return sum(removed.events for removed in self.reasons.values())

    @property
    def bytes(self) -> int:
        return sum(removed.bytes for removed in self.reasons.values())


@dataclass(frozen=True)
class Exported:
    """What was written, and how many events have no bytes any more."""

    events: int
    gone: int
    path: str


@dataclass(frozen=True)
class Verified:
    """What a look at every byte found."""

    events: int
    damaged: tuple[Damaged, ...]
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.damaged and not self.faults


def preview_gc(
    settings: Settings, reasons: tuple[str, ...], *, older_than_s: float | None = None
) -> GcResult:
    """Return what gc would take. Writes nothing."""
    with read_workspace(settings) as workspace:
        if workspace is not None:
            _refuse_what_may_be_lost(workspace, reasons)
        if workspace is None:
            return GcResult({reason: Removed(0, 0, True) for reason in reasons}, dry_run=True)
        new = tuple(each.url for each in unregistered(settings, workspace.targets))
        found = {
            reason: Removed(0, 0, True)
            if new and reason in _EVERY_TARGET
            else workspace.retention.preview(reason, older_than_s=older_than_s)
            for reason in reasons
        }
        behind = _behind(workspace) if DELIVERED in reasons else ()
    waited = not _EVERY_TARGET.isdisjoint(reasons)
    return GcResult(found, dry_run=True, waits_for=behind, not_begun=new if waited else ())


def _refuse_what_may_be_lost(workspace: Workspace, reasons: tuple[str, ...]) -> None:
    """Refuse while a server may lack what counts as delivered to it: ours are the last copies.

    Raises:
        UsageError: it answered as another deployment, and nobody has decided yet.
    """
    if _EVERY_TARGET.isdisjoint(reasons):
        return
    for target in workspace.targets.all():
        if target.active and reset_seen_at(workspace.store, target, clock=workspace.clock):
            again = f"`spec-kitty sync now --redeliver --target {target.target_id}`"
            there = f"`spec-kitty sync targets confirm {target.target_id}`"
            raise UsageError(
                f"{target.url} answers as another deployment: what was delivered may be gone",
                remedy=f"If its data is gone, run {again}; if it is still there, {there}.",
            )


def _behind(workspace: Workspace) -> tuple[TargetSummary, ...]:
    every = [target_summary(workspace, each) for each in workspace.targets.all()]
    most = max((each.delivered_count for each in every), default=0)
    return tuple(each for each in every if each.active and each.delivered_count < most)


def collect(
    settings: Settings,
    reasons: tuple[str, ...],
    *,
    older_than_s: float | None = None,
    vacuum: bool = False,
) -> GcResult:
    """Clear the bytes of every event that *reasons* cover; rows, ids and hashes stay.

    Raises:
        StoreError: what was cleared before stays cleared.
    """
    with open_workspace(settings) as workspace:
        _refuse_what_may_be_lost(workspace, reasons)
        taken = {
            reason: workspace.retention.collect(reason, older_than_s=older_than_s)
            for reason in reasons
        }
        freed = workspace.retention.vacuum() if vacuum else None
    return GcResult(taken, dry_run=False, freed_on_disk=freed)


def archive(settings: Settings, target: Path, *, older_than_s: float | None = None) -> Removed:
    """Export what gc would take to *target*, check the export, then clear the bytes.

    Raises:
        UsageError: the file exists, or its folder does not.
        StoreError, SourceError: the export failed; no byte was cleared.
    """
    _need_folder(target)
    with open_workspace(settings) as workspace:
        _refuse_what_may_be_lost(workspace, (DELIVERED,))
        return workspace.retention.archive(target, older_than_s=older_than_s)


def export(settings: Settings, target: Path, *, out: BinaryIO | None = None) -> Exported:
    """Write every event that has bytes, one to a line, in journal order; held ones too.

    To *out* if it is given, else to the new file *target*.

    Raises:
        UsageError: the file exists, or its folder does not.
        StoreError: it could not be written to its end; nothing is left of it.
    """
    if out is not None:
        return _export(settings, out, "-")
    _need_folder(target)
    create_private(target)
    try:
        with target.open("wb") as stream:
            done = _export(settings, stream, str(target))
            stream.flush()
            os.fsync(stream.fileno())
        sync_dir(target.absolute().parent)
    except BaseException as exc:
        discard_file(target)
        if isinstance(exc, OSError):
            raise disk_error(str(target), exc) from exc
        raise
    return done


def _export(settings: Settings, out: BinaryIO, name: str) -> Exported:
    events = gone = 0
    for body in _bodies(settings):
        if body is None:
            gone += 1
            continue
        # Strict JSON has line breaks only between tokens.
        out.write(body.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")
        events += 1
    return Exported(events, gone, name)


def _bodies(settings: Settings) -> Iterator[bytes | None]:
    with read_workspace(settings) as workspace:
        if workspace is not None:
            for record in workspace.journal.read():
                yield record.body


def verify(settings: Settings) -> Verified:
    """Compare every stored event with its hash, and recount what is counted. Writes nothing.

    Raises:
        StoreCorruptError: the database itself is damaged.
    """
    with read_workspace(settings) as workspace:
        if workspace is None:
            return Verified(0, (), ())
        damaged = tuple(workspace.retention.verify())
        faults = tuple(find_faults(workspace.store))
        kept = sum(g.events for g in workspace.journal.counts() if g.removed is None)
        with workspace.store.reading() as conn:
            pages = tuple(row[0] for row in conn.execute("PRAGMA integrity_check(10)"))
    problems = () if pages == ("ok",) else pages
    return Verified(kept, damaged, (*problems, *faults))


def _need_folder(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise UsageError(
            f"{path.absolute().parent} is not there", remedy="Name a folder that exists."
        )
