"""The journal's values: what is asked of it and what it answers."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Appended(enum.Enum):
    """What became of one event that was offered to the journal."""

    INSERTED = "inserted"
    SAME = "same"
    CONFLICT = "conflict"


class Removal(enum.StrEnum):
    """Why a body is gone while its row stays."""

    ARCHIVED = "archived"
    COLLECTED = "collected"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class AppendReceipt:
    """Where an event stands; `inserted` is False when the same content was there already."""

    seq: int
    event_id: str
    inserted: bool


class AppendResult(NamedTuple):
    """The answer for one event of a bulk append; `seq` is that of the stored row."""

    event_id: str
    seq: int
    outcome: Appended


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One row. `body` is None once it was archived, collected or discarded."""

    seq: int
    event_id: str
    event_type: str
    body: bytes | None
    body_sha256: bytes
    body_bytes: int
    appended_at_ms: int
    occurred_at: str | None
    tier: int
    team: str | None
    project_uuid: str | None
    lamport_clock: int | None
    hold: str | None
    hold_detail: str | None
    superseded_by: int | None
    removed: str | None
    removed_at_ms: int | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A correction or removal that an operator asked for; `at_ms` is epoch milliseconds."""

    seq: int
    event_id: str
    action: str
    reason: str
    at_ms: int
    old_body: bytes | None


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row whose bytes are not those that were accepted."""

    seq: int
    event_id: str
    reason: str


class DeliveryFacts(Protocol):
    """What the journal must know about delivery, asked inside its own transaction."""

    def untouched(self, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that were never claimed, sent or settled for any target."""
        ...

    def unaccepted(self, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that no target has accepted (delivered or pending)."""
        ...

    def objection(self, seq: int) -> tuple[str, str] | None:
        """Return why the event may not change, and what can be done; None where it may."""
        ...

    def reopen(self, seqs: Sequence[int], *, held_only: bool = False) -> None:
        """Open the ledger rows of *seqs* again, where they may leave now and could not before.

        Their bytes have changed; or, with *held_only*, just what held them.
        """
        ...


class NothingDelivered:
    """Delivery facts of a journal without a ledger: nobody was told anything."""

    def untouched(self, seqs: Sequence[int]) -> set[int]:
        return set(seqs)

    def unaccepted(self, seqs: Sequence[int]) -> set[int]:
        return set(seqs)

    def objection(self, seq: int) -> tuple[str, str] | None:
        return None

    def reopen(self, seqs: Sequence[int], *, held_only: bool = False) -> None:
        return None
