"""The status report's values; section names are those of CONTRACT 7, Operator.

Mostly named tuples, with annotations that are types: `sync status` would spend more time on
making two dozen dataclasses, or on compiling annotations from text, than on reading the journal.
Times are RFC 3339 in UTC, sizes bytes; None is "there is none" or "not known", JSON null.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget

SCHEMA_VERSION = "1.0"


class JournalSection(NamedTuple):
    """What is kept on this machine; `file_bytes` is what its files take on the disk."""

    retained_event_count: int
    archived_event_count: int
    local_only_count: int
    superseded_count: int
    oldest_retained_event_at: str | None
    journal_size_bytes: int
    file_bytes: int
    newest_event_at: str | None
    growth_bytes_per_day: int | None
    gc_suggested: bool
    gc_suggestion: str | None


class TargetSummary(NamedTuple):
    """One target and how far it is. `last_stop` says why its last drain ended early."""

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
    deployment_id: str | None
    environment_name: str | None


class TargetsSection(NamedTuple):
    """The target of this run, and every other one that the ledger remembers."""

    current: TargetSummary | None
    previous: tuple[TargetSummary, ...]


class LedgerSection(NamedTuple):
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


class FailedEvent(NamedTuple):
    """An event that is never sent again by itself."""

    event_id: str
    target_id: int
    last_error: str | None


@dataclass(frozen=True)
class TerminalSection:
    """Parked events, counted whole and listed up to a limit."""

    count: int
    dead_letter: int
    terminal_failed: int
    events: tuple[FailedEvent, ...]


class ConflictSummary(NamedTuple):
    """One id that two sources fill with different content."""

    event_id: str
    kind: str


@dataclass(frozen=True)
class MigrationSection:
    """What a migration left to decide; `cleanup_blocked` while anything is."""

    count: int
    cleanup_blocked: bool
    conflicts: tuple[ConflictSummary, ...]
    quarantined: int


class LegacySourceStatus(NamedTuple):
    """One database of an older version that may still hold events."""

    path: str
    kind: str
    problem: str | None
    rows: int | None
    waiting: int | None
    remedy: str | None


class LegacySection(NamedTuple):
    """`waiting` counts events that only `sync migrate` brings into the journal."""

    waiting: int
    sources: tuple[LegacySourceStatus, ...]


class BodyUploadSection(NamedTuple):
    """Document uploads of older versions: counted, never sent by us."""

    body_upload_queue_count: int
    body_upload_failure_log_count: int


class ServiceSection(NamedTuple):
    """The background service that looks best: `state` is none, running, stalled or dead."""

    state: str
    pid: int | None = None
    activity: str | None = None
    live: bool = False
    failures: int = 0
    last_beat_at: str | None = None
    last_success_at: str | None = None
    last_stop: str | None = None


class BlockedEvents(NamedTuple):
    """How many events stand beside one reason, since when."""

    reason: str
    since: str
    events: int


class BackgroundSection(NamedTuple):
    """Whether deliveries happen. `stalled_since`: events could leave and none did since then.

    `pending_stalled_count` were accepted by the receiver, but not settled for a day. `blocked` is
    the reason recorded beside events at their capture, or by the latest attempt since.
    """

    last_attempt_at: str | None
    last_delivery_at: str | None
    last_stop: str | None
    next_retry_at: str | None
    oldest_undelivered_at: str | None
    stalled_since: str | None
    stalled_after_hours: int
    pending_stalled_count: int
    drain_running: bool
    service: ServiceSection
    blocked: tuple[BlockedEvents, ...]


class AuthSection(NamedTuple):
    """In which mode and as whom events leave; `blocked` says what stands in the way."""

    mode: str
    mode_source: str
    authenticated: bool
    user: str | None
    team: str | None
    server_url: str | None
    access_expires_at: str | None
    blocked: str | None


class ConnectionSection(NamedTuple):
    """What the server answered to `--check`; all None when it was not asked."""

    checked: bool
    reachable: bool | None
    token: str | None
    error: str | None
    status: str | None
    server_instance_id: str | None
    deployment_id: str | None
    environment_name: str | None
    git_sha: str | None


class QueueStats(NamedTuple):
    """The counters of older versions, computed from the ledger.

    The retry buckets sum up to `total_pending`. They and the types look at the first thousands
    of waiting events; what is beyond is in the bucket `not examined`.
    """

    total_pending: int
    total_failed: int
    oldest_event_age: timedelta | None
    retry_distribution: dict[str, int]
    top_event_types: tuple[tuple[str, int], ...]


class QueueFile(NamedTuple):
    """A database that events wait in, and how many."""

    path: str
    exists: bool
    size: int


class Attention(NamedTuple):
    """Something an operator should look at, with the command that clears it."""

    code: str
    message: str
    remedy: str


class StatusReport(NamedTuple):
    """Everything `sync status` says; text and JSON are both printed from it."""

    schema_version: str
    ok: bool
    exit_code: int
    generated_at: str
    home: str
    summary: str
    active_queue: QueueFile
    legacy_queue: QueueFile
    total_pending: int
    total_failed: int
    oldest_event_age: timedelta | None
    retry_distribution: dict[str, int]
    top_event_types: tuple[tuple[str, int], ...]
    target_authority: ResolvedSyncTarget
    event_journal: JournalSection
    delivery_targets: TargetsSection
    delivery_ledger: LedgerSection
    held: tuple[Held, ...]
    terminal_failures: TerminalSection
    migration_conflicts: MigrationSection
    legacy_sources: LegacySection
    body_upload_compatibility: BodyUploadSection
    background: BackgroundSection
    auth: AuthSection
    connection: ConnectionSection
    attention: tuple[Attention, ...]
