"""The one function that says how things stand; every surface prints from its report."""

from __future__ import annotations

from contextlib import ExitStack

from spec_kitty_sync._clock import Clock, SystemClock, utc_iso
from spec_kitty_sync._locks import is_locked
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync._sqlite_errors import size_of, wal_of
from spec_kitty_sync.delivery.resets import reset_seen_at
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.event_journal.counting import newest_appended_at, oldest_retained
from spec_kitty_sync.sync import attention
from spec_kitty_sync.sync.auth_status import AuthStanding, auth_standing
from spec_kitty_sync.sync.blocked import BlockedRuns
from spec_kitty_sync.sync.capturing import capture_attention
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.heartbeat import read_service
from spec_kitty_sync.sync.hold_reasons import hold_reason
from spec_kitty_sync.sync.legacy_status import legacy_queue, legacy_section, migration_section
from spec_kitty_sync.sync.standing import Standing, delivered_to, read_standing
from spec_kitty_sync.sync.status_report import (
    SCHEMA_VERSION,
    Attention,
    BackgroundSection,
    BlockedEvents,
    ConnectionSection,
    FailedEvent,
    Held,
    JournalSection,
    LedgerSection,
    QueueFile,
    QueueStats,
    ServiceSection,
    StatusReport,
    TargetsSection,
    TargetSummary,
    TerminalSection,
)
from spec_kitty_sync.sync.summary import in_one_line
from spec_kitty_sync.sync.target_authority import OverrideMode
from spec_kitty_sync.sync.workspace import Workspace, read_workspace

STALLED_AFTER_HOURS = 24
_SUGGEST_GC_BYTES = 50 * 1024 * 1024
_LISTED = 20
_HOUR_MS = 3_600_000
_PARKED = ("terminal_failed", "dead_letter")
_NOT_ASKED = ConnectionSection(False, None, None, None, None, None, None, None, None)
_EMPTY = Standing(
    None,
    LedgerSection(0, 0, 0, 0, 0, 0, 0, 0, 0),
    {},
    QueueStats(0, 0, None, {}, ()),
    None,
    (),
)


def build_status(
    settings: Settings, *, check: bool = False, clock: Clock | None = None
) -> StatusReport:
    """Return how things stand in this home: writes nothing, takes no longer for a large journal.

    With *check* the server is asked too, with the real token, and `exit_code` is 3 when
    something needs attention.

    Raises:
        StoreError: the journal cannot be read.
        UsageError, TargetUrlError: a setting is wrong.
    """
    clock = clock or SystemClock()
    with ExitStack() as stack:
        workspace = stack.enter_context(read_workspace(settings, clock=clock))
        return _report(settings, workspace, clock, check=check)


def _report(
    settings: Settings, workspace: Workspace | None, clock: Clock, *, check: bool
) -> StatusReport:
    store = workspace.store if workspace else None
    standing = read_standing(workspace) if workspace else _EMPTY
    legacy, uploads = legacy_section(settings.home, store)
    migration = migration_section(store)
    auth = auth_standing(settings, workspace.targets if workspace else None, clock=clock)
    connection = _probe(settings, clock) if check and not auth.facts_missing else _NOT_ASKED
    held = _held(standing)
    terminal = _terminal(store, standing)
    service = read_service(settings.home, clock=clock)
    wanted = auth.section.blocked not in ("local_retention", "no_target")
    background = _background(workspace, standing, service, wanted=wanted)
    in_the_way = (
        *attention.target_attention(auth.resolved),
        *attention.auth_attention(auth, standing.ledger),
        *attention.connection_attention(connection, auth.login_remedy),
    )
    found = (
        *capture_attention(settings.home),
        # What stands in the way now says more than how the last attempt ended.
        *(in_the_way or attention.stop_attention(background, standing.ledger, auth.login_remedy)),
        *_reset(workspace, standing, auth, connection),
        *attention.delivery_attention(background, terminal),
        *attention.rejected_attention(standing.ledger),
        *attention.migration_attention(legacy, migration),
        *attention.hold_attention(held),
        *attention.ledger_attention(standing.unaccounted),
    )
    stats = standing.stats
    report = StatusReport(
        schema_version=SCHEMA_VERSION,
        ok=not found,
        exit_code=3 if check and found else 0,
        generated_at=utc_iso(clock.now_ms()),
        home=str(settings.home.root),
        summary="",
        active_queue=_active_queue(settings, stats),
        legacy_queue=legacy_queue(settings.home, legacy),
        total_pending=stats.total_pending,
        total_failed=stats.total_failed,
        oldest_event_age=stats.oldest_event_age,
        retry_distribution=stats.retry_distribution,
        top_event_types=stats.top_event_types,
        target_authority=auth.resolved,
        event_journal=_journal(workspace, standing),
        delivery_targets=_targets(workspace, standing.target),
        delivery_ledger=standing.ledger,
        held=held,
        terminal_failures=terminal,
        migration_conflicts=migration,
        legacy_sources=legacy,
        body_upload_compatibility=uploads,
        background=background,
        auth=auth.section,
        connection=connection,
        attention=found,
    )
    return report._replace(summary=in_one_line(report, auth.in_the_way))


def _probe(settings: Settings, clock: Clock) -> ConnectionSection:
    from spec_kitty_sync.sync.probing import probe

    return probe(settings, clock=clock)


def _active_queue(settings: Settings, stats: QueueStats) -> QueueFile:
    path = settings.home.journal_db
    return QueueFile(str(path), path.exists(), stats.total_pending)


def _journal(workspace: Workspace | None, standing: Standing) -> JournalSection:
    if workspace is None:
        return JournalSection(0, 0, 0, 0, None, 0, 0, None, None, False, None)
    kept = [group for group in standing.groups if group.removed is None]
    size = sum(group.bytes for group in kept)
    oldest = oldest_retained(workspace.store)
    newest_ms = newest_appended_at(workspace.store)
    suggest = size >= _SUGGEST_GC_BYTES and standing.ledger.undelivered == 0
    return JournalSection(
        retained_event_count=sum(group.events for group in kept),
        archived_event_count=sum(group.events for group in standing.groups if group.removed),
        local_only_count=sum(group.events for group in kept if group.local_only),
        superseded_count=sum(group.events for group in kept if group.superseded),
        oldest_retained_event_at=(oldest[0] or utc_iso(oldest[1])) if oldest else None,
        journal_size_bytes=size,
        file_bytes=_on_disk(workspace.store),
        newest_event_at=_moment(newest_ms),
        growth_bytes_per_day=_growth(size, oldest[1] if oldest else None, newest_ms),
        gc_suggested=suggest,
        gc_suggestion="Run `spec-kitty sync gc` to see what can go." if suggest else None,
    )


def _on_disk(store: Store) -> int:
    return size_of(store.path) + size_of(wal_of(store.path))


def _growth(size: int, oldest_ms: int | None, newest_ms: int | None) -> int | None:
    """Return bytes a day between the first and the last kept event; None within the first hour."""
    if oldest_ms is None or newest_ms is None or newest_ms - oldest_ms < _HOUR_MS:
        return None
    return round(size * 24 * _HOUR_MS / (newest_ms - oldest_ms))


def _targets(workspace: Workspace | None, current: Target | None) -> TargetsSection:
    if workspace is None:
        return TargetsSection(None, ())
    others = [
        target_summary(workspace, each)
        for each in workspace.targets.all()
        if current is None or each.target_id != current.target_id
    ]
    return TargetsSection(target_summary(workspace, current) if current else None, tuple(others))


def target_summary(workspace: Workspace, target: Target) -> TargetSummary:
    """Return what a list of targets shows of *target*."""
    return TargetSummary(
        target_id=target.target_id,
        url=target.url,
        user=target.user_email,
        team=target.team_slug,
        active=target.active,
        epoch=target.epoch,
        delivered_count=delivered_to(workspace, target),
        last_attempt_at=_moment(target.last_attempt_at),
        last_delivery_at=_moment(target.last_delivery_at),
        last_stop=target.last_stop,
        deployment_id=target.deployment.deployment_id,
        environment_name=target.deployment.environment_name,
    )


def _moment(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else utc_iso(epoch_ms)


def _held(standing: Standing) -> tuple[Held, ...]:
    counts = sorted(standing.held.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Held(code, count, *hold_reason(code, teams=standing.other_teams))
        for code, count in counts
        if count
    )


def _terminal(store: Store | None, standing: Standing) -> TerminalSection:
    ledger = standing.ledger
    count = ledger.dead_letter + ledger.terminal_failed
    if store is None or standing.target is None or not count:
        return TerminalSection(count, ledger.dead_letter, ledger.terminal_failed, ())
    from spec_kitty_sync.delivery.history import failed_events

    parked = failed_events(store, standing.target, states=_PARKED, n=_LISTED)
    listed = tuple(FailedEvent(e.event_id, e.target_id, e.reason or None) for e in parked)
    return TerminalSection(count, ledger.dead_letter, ledger.terminal_failed, listed)


def _background(
    workspace: Workspace | None, standing: Standing, service: ServiceSection, *, wanted: bool
) -> BackgroundSection:
    """Return whether deliveries happen; *wanted*: this home is set up to deliver."""
    target = standing.target
    stalled_ms = None
    if workspace is not None and wanted:
        stalled_ms = _stalled_since(standing, workspace.clock.now_ms())
    return BackgroundSection(
        last_attempt_at=_moment(target.last_attempt_at) if target else None,
        last_delivery_at=_moment(target.last_delivery_at) if target else None,
        last_stop=target.last_stop if target else None,
        next_retry_at=_next_retry(workspace, standing),
        oldest_undelivered_at=_moment(standing.oldest_ms),
        stalled_since=_moment(stalled_ms),
        stalled_after_hours=STALLED_AFTER_HOURS,
        pending_stalled_count=_pending_stalled(workspace, standing),
        drain_running=_drain_running(workspace, target),
        service=service,
        blocked=_blocked(workspace),
    )


def _next_retry(workspace: Workspace | None, standing: Standing) -> str | None:
    ledger = standing.ledger
    if (
        workspace is None
        or standing.target is None
        or not ledger.pending + ledger.transient + ledger.rejected
    ):
        return None
    from spec_kitty_sync.delivery.history import next_retry_at

    return _moment(next_retry_at(workspace.store, standing.target))


def _pending_stalled(workspace: Workspace | None, standing: Standing) -> int:
    if workspace is None or standing.target is None or not standing.ledger.pending:
        return 0
    from spec_kitty_sync.delivery.history import count_stalled

    return count_stalled(workspace.store, standing.target, now_ms=workspace.clock.now_ms())


def _blocked(workspace: Workspace | None) -> tuple[BlockedEvents, ...]:
    if workspace is None:
        return ()
    runs = BlockedRuns(workspace.store, clock=workspace.clock).all()
    return tuple(BlockedEvents(run.reason, utc_iso(run.since_ms), run.events) for run in runs)


def _stalled_since(standing: Standing, now_ms: int) -> int | None:
    """Return since when events could leave and none did, if that is longer than the limit."""
    ledger, target = standing.ledger, standing.target
    if standing.oldest_ms is None or ledger.undelivered == ledger.pending:
        return None
    since = max(standing.oldest_ms, target.last_delivery_at or 0 if target else 0)
    return since if now_ms - since > STALLED_AFTER_HOURS * _HOUR_MS else None


def _reset(
    workspace: Workspace | None,
    standing: Standing,
    auth: AuthStanding,
    connection: ConnectionSection,
) -> tuple[Attention, ...]:
    if workspace is None or standing.target is None:
        return ()
    found = attention.reset_attention(
        standing.target,
        reset_seen_at(workspace.store, standing.target, clock=workspace.clock),
        now=connection,
        this_run=auth.resolved.override_mode is OverrideMode.PROCESS_OVERRIDE,
    )
    return tuple(found)


def _drain_running(workspace: Workspace | None, target: Target | None) -> bool:
    if workspace is None or target is None:
        return False
    locks = workspace.settings.home.locks_dir
    return is_locked(locks / f"drain-{target.target_id}.lock")
