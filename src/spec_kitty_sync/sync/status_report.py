"""The status report's values; section names are those of CONTRACT 7, Operator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class JournalSection:
    """What is kept on this machine; sizes in bytes, times RFC 3339."""

    retained_event_count: int
    archived_event_count: int
    local_only_count: int
    superseded_count: int
    oldest_retained_event_at: str | None
    journal_size_bytes: int
    gc_suggested: bool
    gc_suggestion: str | None


@dataclass(frozen=True)
class TargetSummary:
    """One target and how far it is; times RFC 3339."""

    target_id: int
    url: str
    user: str | None
    team: str | None
    active: bool
    epoch: int
    delivered_count: int
    last_attempt_at: str | None
    last_delivery_at: str | None
    last_stop: str | None


@dataclass(frozen=True)
class TargetsSection:
    """The target of this run, and every other one that the ledger remembers."""

    current: TargetSummary | None
    previous: tuple[TargetSummary, ...]


@dataclass(frozen=True)
class LedgerSection:
    """Events by state for the current target; `undelivered` are those that may still leave."""

    undelivered: int
    delivered_current_target: int
    delivered_previous_target: int
    pending: int
    rejected: int
    transient: int
    held: int
    dead_letter: int
    terminal_failed: int


@dataclass(frozen=True)
class Held:
    """Why a number of events stays here, and what helps; no remedy: it is by choice."""

    reason: str
    count: int
    meaning: str
    remedy: str | None


@dataclass(frozen=True)
class FailedEvent:
    """An event that is never sent again by itself."""

    event_id: str
    target_id: int
    last_error: str | None


@dataclass(frozen=True)
class TerminalSection:
    """Parked events, counted whole and listed up to a limit."""

    count: int
    events: tuple[FailedEvent, ...]


@dataclass(frozen=True)
class LegacySourceStatus:
    """One database of an older version that may still hold events."""

    path: str
    kind: str
    problem: str | None
    rows: int | None
    waiting: int | None


@dataclass(frozen=True)
class LegacySection:
    """`waiting` counts events that only `sync migrate` brings into the journal."""

    waiting: int
    sources: tuple[LegacySourceStatus, ...]


@dataclass(frozen=True)
class QueueStats:
    """The counters of older versions, computed from the ledger."""

    total_pending: int
    total_failed: int
    oldest_event_age: timedelta | None
    retry_distribution: dict[str, int]
    top_event_types: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class BodyUploadSection:
    """Document uploads of older versions: counted, never sent by us."""

    body_upload_queue_count: int
    body_upload_failure_log_count: int


@dataclass(frozen=True)
class Attention:
    """Something an operator should look at, with the command that clears it."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class StatusReport:
    """Everything `sync status` says; text and JSON are both printed from it."""

    schema_version: str
    ok: bool
    exit_code: int
    generated_at: str
    home: str
    summary: str
    target_authority: ResolvedSyncTarget
    event_journal: JournalSection
    delivery_targets: TargetsSection
    delivery_ledger: LedgerSection
    held: tuple[Held, ...]
    terminal_failures: TerminalSection
    legacy_sources: LegacySection
    body_upload_compatibility: BodyUploadSection
    attention: tuple[Attention, ...]
