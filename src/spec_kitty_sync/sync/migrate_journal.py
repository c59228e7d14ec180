"""Bringing the events of older CLIs into the journal, source by source (CONTRACT 6).

Each source is one transaction with its provenance, conflicts and quarantine: killed anywhere
and run again, the result is the same. A source whose bytes have not changed is not read twice.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync._words import plural, verb
from spec_kitty_sync.errors import (
    SourceError,
    StoreDiskError,
    StoreError,
    StoreFullError,
    StoreUncertainError,
)
from spec_kitty_sync.event_journal.corrections import Corrections
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.event_journal.models import Appended, DeliveryFacts
from spec_kitty_sync.events.registry import Registry
from spec_kitty_sync.sync.legacy_open import (
    PATIENCE_S,
    damaged,
    fingerprint_of,
    unreadable,
)
from spec_kitty_sync.sync.legacy_rows import SourceView, chunks, open_source
from spec_kitty_sync.sync.legacy_sources import (
    LegacySource,
    SourceKind,
    ignore_command,
    quoted,
)
from spec_kitty_sync.sync.migrate_compare import classify
from spec_kitty_sync.sync.migrate_marks import stamp_of
from spec_kitty_sync.sync.migrate_report import (
    NO_EVENTS,
    MigrationReport,
    SourceOutcome,
    SourceReport,
)
from spec_kitty_sync.sync.migrate_rows import Candidate, judge
from spec_kitty_sync.sync.migrate_scope import Scopes
from spec_kitty_sync.sync.migrate_store import MigrationStore, StoredSource, is_ignored

CONFLICT_HOLD = "migration_conflict"
_NOT_READ = {
    "busy": SourceOutcome.BUSY,
    "our_store": SourceOutcome.NOT_A_SOURCE,
    "odd_name": SourceOutcome.SKIPPED,
    "symlink": SourceOutcome.SKIPPED,
    "zero_bytes": SourceOutcome.EMPTY,
}
_HOLDS_NO_EVENT = (SourceOutcome.NOT_A_SOURCE, SourceOutcome.EMPTY)
_NO_ROOM = (StoreFullError, StoreDiskError, StoreUncertainError)
_MAY_HOLD_MORE = (SourceOutcome.BUSY, SourceOutcome.UNREADABLE)

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Parts:
    """What a migration works on: one open home and its two domains."""

    store: Store
    journal: SqliteJournal
    corrections: Corrections
    delivery: DeliveryFacts
    registry: Registry
    clock: Clock


@dataclass
class _Tally:
    rows: int = 0
    imported: int = 0
    conflicts: int = 0
    quarantined: int = 0


class Migrator:
    """Imports legacy sources into the journal of one home."""

    def __init__(
        self,
        parts: Parts,
        scopes: Scopes,
        *,
        patience_s: float = PATIENCE_S,
        progress: Progress | None = None,
    ) -> None:
        self._parts = parts
        self._scopes = scopes
        self._own = MigrationStore(parts.store)
        self._patience_s = patience_s
        self._progress = progress or (lambda name, rows: None)

    def run(self, sources: Sequence[LegacySource]) -> MigrationReport:
        """Import every source in the given order; one that fails stops no other.

        Raises:
            StoreError: our own database failed. What it says tells how far the run came.
        """
        taken: list[SourceReport] = []
        try:
            taken.extend(map(self.take, sources))
        except _NO_ROOM as exc:
            raise _cut_short(exc, taken, len(sources)) from exc
        reports = tuple(taken)
        if not any(report.outcome in _MAY_HOLD_MORE for report in reports):
            self._supersede()
        self._parts.store.checkpoint()
        undecided = self._own.undecided()
        named = [each.path for each in reports if each.kind == SourceKind.NAMED]
        notes = _notes(reports, self._own.sources(), undecided)
        notes += _gone(self._own.without_bytes(named))
        return MigrationReport.of(reports, notes, undecided=undecided)

    def take(self, source: LegacySource) -> SourceReport:
        """Import one source and say what happened.

        Raises:
            StoreError: our own database failed; nothing of this source was imported.
        """
        source, stored = self._own.recognise(source)
        if stored and is_ignored(source.path, stored):
            undo = f"spec-kitty sync migrate sources unignore {quoted(source.path)}"
            return self._skipped(source, f"ignored: {stored.ignored_reason}", f"Run `{undo}`.")
        if self._own.links_to_imported(source):
            return self._skipped(source, "a link to a file that is imported")
        try:
            unchanged = self._unchanged(source, stored)
            return unchanged or self._read(source)
        except SourceError as exc:
            return self._not_read(source, exc)

    def _skipped(
        self, source: LegacySource, reason: str, remedy: str | None = None
    ) -> SourceReport:
        return SourceReport(
            source.name,
            source.kind.value,
            self._scopes.resolve(source.digest),
            SourceOutcome.SKIPPED,
            reason=reason,
            remedy=remedy,
        )

    def _unchanged(self, source: LegacySource, stored: StoredSource | None) -> SourceReport | None:
        """Return the report of a source whose bytes were imported before, else None."""
        if stored is None or stored.fingerprint is None or source.problem is not None:
            return None
        try:
            if fingerprint_of(source.path) != stored.fingerprint:
                return None
        except OSError as exc:
            raise unreadable(source.path, exc) from exc
        scope = stored.scope or self._scopes.resolve(source.digest)
        if scope is not None and scope != stored.scope:
            self._own.set_scope(stored.id, scope)
        troubled = self._own.troubled(stored.id)
        outcome = SourceOutcome(stored.outcome or SourceOutcome.IMPORTED)
        return SourceReport(
            source.name,
            source.kind.value,
            scope,
            outcome,
            rows=stored.row_count,
            duplicates=stored.row_count - troubled.conflicts - troubled.quarantined,
            conflicts=troubled.conflicts,
            quarantined=troubled.quarantined,
            reason=stored.reason or troubled.decided,
            remedy=stored.remedy,
            attention=outcome is SourceOutcome.DAMAGED,
            unchanged=True,
        )

    def _read(self, source: LegacySource) -> SourceReport:
        # Taken before the first byte is read: whatever is written later shows.
        stamp = stamp_of(source.path, now_ms=self._now_ms())
        with open_source(source, patience_s=self._patience_s, clock=self._parts.clock) as view:
            if view.table is None:
                return self._without_events(view)
            with self._parts.store.transaction():
                stored = self._own.open_source(source)
                self._own.start_reading(stored.id)
                tally = self._import(view, stored.id)
                return self._finish(view, stored._replace(stamp=stamp), tally)

    def _without_events(self, view: SourceView) -> SourceReport:
        source, remedy = view.source, None
        if view.damage is not None:
            raise damaged(source.path, f"SQLite's check fails: {view.damage}")
        # Where a queue should be, another program's data means that the queue is gone.
        lost = view.foreign_rows and source.kind is not SourceKind.NAMED
        if view.foreign_rows:
            outcome, reason = SourceOutcome.NOT_A_SOURCE, NO_EVENTS
            remedy = f"Run {ignore_command(source.path)}."
        elif view.body_uploads:
            outcome = SourceOutcome.EMPTY
            reason = f"it holds {plural(view.body_uploads, 'document upload')} and no events"
        else:
            outcome, reason = SourceOutcome.EMPTY, "it holds no events"
        return SourceReport(
            source.name,
            source.kind.value,
            self._scopes.resolve(source.digest),
            outcome,
            reason=reason,
            remedy=remedy,
            attention=lost,
        )

    def _import(self, view: SourceView, source_id: int) -> _Tally:
        with _without_cycle_search():
            return self._import_rows(view, source_id)

    def _import_rows(self, view: SourceView, source_id: int) -> _Tally:
        tally = _Tally()
        for chunk in chunks(view.rows()):
            tally.rows += len(chunk)
            candidates = []
            for row in chunk:
                verdict = judge(row, self._parts.registry)
                if isinstance(verdict, Candidate):
                    candidates.append(verdict)
                elif self._own.add_quarantined(source_id, verdict, now_ms=self._now_ms()):
                    tally.quarantined += 1
            self._append(source_id, candidates, tally)
            self._progress(view.source.name, tally.rows)
        return tally

    def _append(self, source_id: int, candidates: list[Candidate], tally: _Tally) -> None:
        results = self._parts.journal.append_many(
            (candidate.event for candidate in candidates), coalesce=False
        )
        kept = []
        for result, candidate in zip(results, candidates, strict=True):
            if result.outcome is not Appended.CONFLICT:
                kept.append((result.seq, candidate))
                tally.imported += result.outcome is Appended.INSERTED
            else:
                tally.conflicts += record_conflict(self._parts, source_id, candidate)
        self._own.add_provenance(source_id, kept)

    def _supersede(self) -> None:
        """Mark journal rows that a queue row replaced; only every queue together can tell."""
        with self._parts.store.transaction():
            for newer, older in self._own.replaced():
                self._parts.journal.supersede([older], by=newer)

    def _finish(self, view: SourceView, stored: StoredSource, tally: _Tally) -> SourceReport:
        source = view.source
        outcome, reason, remedy = SourceOutcome.IMPORTED, None, None
        if view.damage is not None:
            outcome = SourceOutcome.DAMAGED
            reason = f"SQLite's check fails ({view.damage}), a full scan read {tally.rows} rows"
            remedy = (
                "If a backup holds more events, name it with `--from`. "
                f"Then run {ignore_command(source.path)}."
            )
        elif tally.rows == 0:
            outcome, reason = SourceOutcome.EMPTY, "its queue is empty"
        scope = self._scopes.resolve(source.digest) or stored.scope
        self._own.finish(
            stored._replace(
                holds=view.table,
                scope=scope,
                fingerprint=view.fingerprint,
                outcome=outcome.value,
                reason=reason,
                remedy=remedy,
                row_count=tally.rows,
                body_uploads=view.body_uploads,
                body_failures=view.body_failures,
            )
        )
        return SourceReport(
            source.name,
            source.kind.value,
            scope,
            outcome,
            rows=tally.rows,
            imported=tally.imported,
            duplicates=tally.rows - tally.imported - tally.conflicts - tally.quarantined,
            conflicts=tally.conflicts,
            quarantined=tally.quarantined,
            reason=reason or self._own.troubled(stored.id).decided,
            remedy=remedy,
            attention=outcome is SourceOutcome.DAMAGED,
        )

    def _not_read(self, source: LegacySource, exc: SourceError) -> SourceReport:
        code = str(exc.facts["reason"])
        outcome = _NOT_READ.get(code, SourceOutcome.UNREADABLE)
        return SourceReport(
            source.name,
            source.kind.value,
            self._scopes.resolve(source.digest),
            outcome,
            reason=f"{code}: {exc.facts.get('detail', exc.message)}",
            remedy=exc.remedy,
            attention=outcome not in _HOLDS_NO_EVENT,
        )

    def _now_ms(self) -> int:
        return self._parts.clock.now_ms()


def _cut_short(exc: StoreError, taken: Sequence[SourceReport], all_sources: int) -> StoreError:
    """Return *exc*, with what was done before it and what to do after making room."""
    imported = sum(report.imported for report in taken)
    return type(exc)(
        f"{exc.message}; {len(taken)} of {plural(all_sources, 'source')} done before, "
        f"{plural(imported, 'event')} imported",
        remedy="See that the disk works and has room, then run the same command again: what was "
        "imported stays, and every source is as it was.",
        **{**exc.facts, "sources_done": len(taken), "imported": imported},
    )


def record_conflict(parts: Parts, source_id: int, candidate: Candidate) -> bool:
    """Record that the journal holds other content; hold the id unless a target has it.

    False when this content was replaced or decided upon before.
    """
    own, event = MigrationStore(parts.store), candidate.event
    if own.decided(event.event_id, event.body) == "settled":
        return False
    record = parts.journal.get(event.event_id)
    assert record is not None
    kind, now_ms = classify(record.body, event.body), parts.clock.now_ms()
    new = own.add_conflict(source_id, candidate, kind=kind, now_ms=now_ms)
    if new and record.hold != CONFLICT_HOLD:
        parts.corrections.hold(
            [event.event_id],
            CONFLICT_HOLD,
            "another source holds this id with other content; "
            f"run `spec-kitty sync migrate conflicts show {event.event_id}`",
        )
    return new


@contextmanager
def _without_cycle_search() -> Iterator[None]:
    """Pause the search for reference cycles: rows make none, and looking costs a tenth."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _gone(events: int) -> tuple[str, ...]:
    if not events:
        return ()
    known = f"{plural(events, 'event')} of the named files {verb(events, 'is', 'are')} known here"
    return (
        f"{known} without bytes: gc, archive or discard took them. An import does not bring them "
        "back; a backup from before does: `spec-kitty sync restore FILE`. To send them to a server "
        "that lacks them, import the file into a new home: `spec-kitty sync migrate --home DIR "
        "--from FILE`.",
    )


def _notes(
    reports: Sequence[SourceReport], sources: Sequence[StoredSource], undecided: int
) -> tuple[str, ...]:
    notes = []
    unknown = sum(
        1 for r in reports if r.kind == SourceKind.SCOPED_QUEUE and r.scope is None and r.rows
    )
    if unknown:
        notes.append(
            f"{plural(unknown, 'queue')} {verb(unknown, 'belongs', 'belong')} to a server, user or "
            "team that is not known here. Nothing to do: the events are imported all the same; "
            "`--scope server,user,team` would only note where they came from."
        )
    uploads = sum(source.body_uploads for source in sources)
    if uploads:
        stay = f"{plural(uploads, 'document upload')} {verb(uploads, 'stays', 'stay')}"
        notes.append(f"{stay} in the old queues: the CLI that owns them sends them.")
    gone = undecided - sum(report.conflicts + report.quarantined for report in reports)
    if gone > 0:
        notes.append(
            f"{gone} rows that left their source since still wait for a decision: see "
            "`spec-kitty sync migrate conflicts list` and `… quarantine list`."
        )
    return tuple(notes)
