"""Ids whose content differs between sources: see them side by side, decide, leave a trace.

The journal's content stays until the operator says otherwise; every other event flows on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from spec_kitty_sync.errors import AdmissionError, MigrationError, SpecKittyError, UsageError
from spec_kitty_sync.event_journal.journal import content_hash
from spec_kitty_sync.event_journal.models import JournalRecord
from spec_kitty_sync.events.admission import Admitted, admit
from spec_kitty_sync.sync.migrate_compare import Difference, differences
from spec_kitty_sync.sync.migrate_journal import CONFLICT_HOLD, Parts
from spec_kitty_sync.sync.migrate_rows import local_only_by_type
from spec_kitty_sync.sync.migrate_store import MigrationStore

Keep = Literal["journal", "source"]

_OPEN = """
SELECT c.id, c.event_id, s.path, c.source_row, c.class, c.found_at_ms, c.body, c.source_id
FROM migration_conflict c JOIN migration_source s ON s.id = c.source_id
WHERE c.kept IS NULL AND (?1 IS NULL OR c.class = ?1)
ORDER BY c.event_id, c.id
"""
_OPEN_OF = """
SELECT c.id, c.event_id, s.path, c.source_row, c.class, c.found_at_ms, c.body, c.source_id
FROM migration_conflict c JOIN migration_source s ON s.id = c.source_id
WHERE c.kept IS NULL
  AND c.event_id = (SELECT coalesce(
      (SELECT event_id FROM migration_conflict WHERE event_id = ?1 LIMIT 1),
      (SELECT event_id FROM migration_conflict WHERE CAST(id AS TEXT) = ?1)))
ORDER BY c.id
"""
_CLOSE = """
UPDATE migration_conflict SET kept = ?, resolved_at_ms = ?
WHERE id IN (SELECT value FROM json_each(?)) AND kept IS NULL
"""
_COUNT = "SELECT count(DISTINCT event_id) FROM migration_conflict WHERE kept IS NULL"


@dataclass(frozen=True)
class Variant:
    """One row with other content than the journal's; `kind` is divergent or volatile."""

    id: int
    event_id: str
    source: str
    row: int
    kind: str
    found_at_ms: int
    body: bytes
    source_id: int


@dataclass(frozen=True)
class Conflict:
    """One id in conflict: what the journal holds (None once collected) and every other content."""

    event_id: str
    kind: str
    journal: bytes | None
    sent: bool
    variants: tuple[Variant, ...]

    def differences(self, variant: Variant) -> tuple[Difference, ...]:
        """Return every place where *variant* differs from the journal's content."""
        if self.journal is None:
            return ()
        return tuple(differences(self.journal, variant.body))


@dataclass(frozen=True)
class Resolution:
    """How one conflict ended; `refused` is the reason when it is still open."""

    event_id: str
    kept: Keep
    refused: str | None = None
    remedy: str | None = None


class Conflicts:
    """The conflicts of one home and the ways out of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._own = MigrationStore(parts.store)

    def count(self) -> int:
        """Return how many ids are in conflict."""
        with self._parts.store.reading() as conn:
            return int(conn.execute(_COUNT).fetchone()[0])

    def open(self, kind: str | None = None) -> tuple[Conflict, ...]:
        """Return every open conflict, of one class if *kind* is given."""
        with self._parts.store.reading() as conn:
            variants = [Variant(*row) for row in conn.execute(_OPEN, (kind,))]
        return tuple(self._grouped(variants))

    def show(self, name: str) -> Conflict:
        """Return the open conflict of an event id, or of one variant's number.

        Raises:
            UsageError: nothing of that name is in conflict.
        """
        with self._parts.store.reading() as conn:
            variants = [Variant(*row) for row in conn.execute(_OPEN_OF, (name,))]
        for conflict in self._grouped(variants):
            return conflict
        raise not_in_conflict(name)

    def _grouped(self, variants: list[Variant]) -> Iterator[Conflict]:
        by_event: dict[str, list[Variant]] = {}
        for variant in variants:
            by_event.setdefault(variant.event_id, []).append(variant)
        for event_id, group in by_event.items():
            record = self._parts.journal.get(event_id)
            volatile = all(variant.kind == "volatile" for variant in group)
            yield Conflict(
                event_id,
                "volatile" if volatile else "divergent",
                record.body if record else None,
                record is None or not self._parts.delivery.untouched([record.seq]),
                tuple(group),
            )

    def resolve(self, name: str, *, keep: Keep, reason: str = "") -> Resolution:
        """Decide one conflict, named by event id or, for one of several contents, by number.

        Raises:
            UsageError: no such conflict, or several contents and no number.
            MigrationError: the source's content cannot take the journal's place; says why.
        """
        conflict = self.show(name)
        chosen = self._chosen(conflict, name) if keep == "source" else None
        with self._parts.store.transaction():
            if chosen is not None:
                self._take_source(conflict, chosen, reason)
            else:
                self._release(conflict.event_id)
            self._close(conflict, chosen, reason)
        return Resolution(conflict.event_id, keep)

    def resolve_all(
        self, *, keep: Keep, kind: str | None = None, reason: str = ""
    ) -> tuple[Resolution, ...]:
        """Decide every open conflict (of one class) the same way; one that cannot is reported."""
        done = []
        for conflict in self.open(kind):
            try:
                done.append(self.resolve(conflict.event_id, keep=keep, reason=reason))
            except (MigrationError, UsageError) as exc:
                done.append(Resolution(conflict.event_id, keep, exc.message, exc.remedy))
        return tuple(done)

    def _chosen(self, conflict: Conflict, name: str) -> Variant:
        for variant in conflict.variants:
            if str(variant.id) == name and name != conflict.event_id:
                return variant
        if len({content_hash(variant.body) for variant in conflict.variants}) > 1:
            numbers = ", ".join(str(variant.id) for variant in conflict.variants)
            raise UsageError(
                f"{conflict.event_id} has several other contents: {numbers}",
                remedy="Run `spec-kitty sync migrate conflicts resolve NUMBER --keep source` "
                "with the number of the one to keep.",
            )
        return conflict.variants[0]

    def _take_source(self, conflict: Conflict, variant: Variant, reason: str) -> None:
        keep_journal = (
            f"Run `spec-kitty sync migrate conflicts resolve {conflict.event_id} --keep journal`."
        )
        if conflict.sent:
            raise MigrationError(
                f"{conflict.event_id} was sent to a target; its content stays",
                remedy=keep_journal,
            )
        try:
            event = local_only_by_type(admit(variant.body, registry=self._parts.registry))
            self._parts.corrections.replace(event, reason=reason or "migration: keep source")
        except SpecKittyError as exc:
            raise MigrationError(
                f"{conflict.event_id} cannot take the source's content: {exc.message}",
                remedy=keep_journal,
            ) from exc

    def _release(self, event_id: str) -> None:
        """Take our hold away; what the wire gate says of the journal's own bytes remains."""
        record = self._parts.journal.get(event_id)
        if record is None or record.hold != CONFLICT_HOLD:
            return
        own = self._judged(record)
        if own is None or own.hold is None:
            self._parts.corrections.release([event_id])
        else:
            self._parts.corrections.hold([event_id], own.hold, own.hold_detail)

    def _judged(self, record: JournalRecord) -> Admitted | None:
        if record.body is None:
            return None
        try:
            return admit(record.body, registry=self._parts.registry)
        except AdmissionError:
            return None

    def _close(self, conflict: Conflict, chosen: Variant | None, reason: str) -> None:
        now_ms = self._parts.clock.now_ms()
        kept = content_hash(chosen.body) if chosen else None
        same: list[int] = []
        other: list[int] = []
        for variant in conflict.variants:
            taken = kept is not None and content_hash(variant.body) == kept
            (same if taken else other).append(variant.id)
        with self._parts.store.transaction() as conn:
            conn.execute(_CLOSE, ("source", now_ms, json.dumps(same)))
            conn.execute(_CLOSE, ("journal", now_ms, json.dumps(other)))
        self._own.audit(
            "conflict.keep_source" if chosen else "conflict.keep_journal",
            conflict.event_id,
            reason=reason,
            detail=f"from {chosen.source} row {chosen.row}" if chosen else None,
            now_ms=now_ms,
        )


def not_in_conflict(name: str) -> UsageError:
    """Return the error for a name that is no open conflict."""
    return UsageError(
        f"{name} is not in conflict",
        remedy="Run `spec-kitty sync migrate conflicts list` to see those that are.",
    )
