"""The one function that says how things stand; every surface prints from its report."""

from __future__ import annotations

from collections import Counter

from spec_kitty_sync._clock import Clock, SystemClock, utc_iso
from spec_kitty_sync.delivery.counting import read_counts
from spec_kitty_sync.delivery.history import failed_events
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.event_journal.models import CountGroup
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.hold_reasons import hold_reason
from spec_kitty_sync.sync.legacy_status import legacy_section
from spec_kitty_sync.sync.status_report import (
    SCHEMA_VERSION,
    Attention,
    BodyUploadSection,
    FailedEvent,
    Held,
    JournalSection,
    LedgerSection,
    LegacySection,
    StatusReport,
    TargetsSection,
    TargetSummary,
    TerminalSection,
)
from spec_kitty_sync.sync.target_authority import (
    OverrideMode,
    ResolvedSyncTarget,
    resolve_target,
)
from spec_kitty_sync.sync.workspace import Workspace, read_workspace

_SUGGEST_GC_BYTES = 50 * 1024 * 1024
_LISTED = 20
_SHOWN_ELSEWHERE = frozenset({"archived", "superseded"})

_PARKED = ("terminal_failed", "dead_letter")


def build_status(settings: Settings, *, clock: Clock | None = None) -> StatusReport:
    """Return how things stand in this home. Reads only, and answers in the same time at any size.

    Raises:
        StoreError: the journal cannot be read.
    """
    clock = clock or SystemClock()
    with read_workspace(settings, clock=clock) as workspace:
        legacy, uploads = legacy_section(settings.home, workspace.store if workspace else None)
        if workspace is None:
            return _report(settings, clock, _nothing(resolve_target(settings)), legacy, uploads)
        return _report(settings, clock, _standing(workspace), legacy, uploads)


class _Standing:
    """What the journal's database says."""

    def __init__(
        self,
        resolved: ResolvedSyncTarget,
        journal: JournalSection,
        targets: TargetsSection,
        ledger: LedgerSection,
        held: tuple[Held, ...],
        terminal: TerminalSection,
    ) -> None:
        self.resolved = resolved
        self.journal = journal
        self.targets = targets
        self.ledger = ledger
        self.held = held
        self.terminal = terminal


def _nothing(resolved: ResolvedSyncTarget) -> _Standing:
    return _Standing(
        resolved,
        JournalSection(0, 0, 0, 0, None, 0, False, None),
        TargetsSection(None, ()),
        LedgerSection(0, 0, 0, 0, 0, 0, 0, 0, 0),
        (),
        TerminalSection(0, ()),
    )


def _standing(workspace: Workspace) -> _Standing:
    target = workspace.known_target()
    states = read_counts(workspace.store, target) if target else {}
    beyond = workspace.beyond(target)
    by_state: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for (state, category), n in states.items():
        by_state[state] += n
        if state == "held":
            held[category] += n
    for barrier, n in beyond.items():
        if barrier is not None:
            held[barrier] += n
    groups = workspace.journal.counts()
    ledger = _ledger(workspace, target, by_state, held, beyond.get(None, 0))
    return _Standing(
        workspace.resolved,
        _journal(workspace, groups, ledger),
        _targets(workspace, target),
        ledger,
        _held(held),
        _terminal(workspace, target, by_state),
    )


def _ledger(
    workspace: Workspace,
    target: Target | None,
    by_state: Counter[str],
    held: Counter[str],
    beyond: int,
) -> LedgerSection:
    others = sum(
        _delivered(workspace, each)
        for each in workspace.targets.all()
        if target is None or each.target_id != target.target_id
    )
    retrying = by_state["pending"] + by_state["transient"] + by_state["rejected"]
    return LedgerSection(
        undelivered=by_state["open"] + beyond + retrying,
        delivered_current_target=by_state["delivered"],
        delivered_previous_target=others,
        pending=by_state["pending"],
        rejected=by_state["rejected"],
        transient=by_state["transient"],
        held=sum(held.values()),
        dead_letter=by_state["dead_letter"],
        terminal_failed=by_state["terminal_failed"],
    )


def _journal(
    workspace: Workspace, groups: tuple[CountGroup, ...], ledger: LedgerSection
) -> JournalSection:
    kept = [group for group in groups if group.removed is None]
    size = sum(group.bytes for group in kept)
    oldest = workspace.journal.oldest_retained()
    suggest = size >= _SUGGEST_GC_BYTES and ledger.undelivered == 0
    return JournalSection(
        retained_event_count=sum(group.events for group in kept),
        archived_event_count=sum(group.events for group in groups if group.removed),
        local_only_count=sum(group.events for group in kept if group.local_only),
        superseded_count=sum(group.events for group in kept if group.superseded),
        oldest_retained_event_at=(oldest[0] or utc_iso(oldest[1])) if oldest else None,
        journal_size_bytes=size,
        gc_suggested=suggest,
        gc_suggestion="Run `spec-kitty sync gc` to see what can go." if suggest else None,
    )


def _targets(workspace: Workspace, current: Target | None) -> TargetsSection:
    others = [
        _summary(workspace, each)
        for each in workspace.targets.all()
        if current is None or each.target_id != current.target_id
    ]
    return TargetsSection(_summary(workspace, current) if current else None, tuple(others))


def _delivered(workspace: Workspace, target: Target) -> int:
    counts = read_counts(workspace.store, target)
    return sum(n for (state, _), n in counts.items() if state == "delivered")


def _summary(workspace: Workspace, target: Target) -> TargetSummary:
    return TargetSummary(
        target_id=target.target_id,
        url=target.url,
        user=target.user_email,
        team=target.team_slug,
        active=target.active,
        epoch=target.epoch,
        delivered_count=_delivered(workspace, target),
        last_attempt_at=_moment(target.last_attempt_at),
        last_delivery_at=_moment(target.last_delivery_at),
        last_stop=target.last_stop,
    )


def _moment(epoch_ms: int | None) -> str | None:
    return None if epoch_ms is None else utc_iso(epoch_ms)


def _held(held: Counter[str]) -> tuple[Held, ...]:
    found = []
    for code, count in sorted(held.items(), key=lambda item: (-item[1], item[0])):
        if code not in _SHOWN_ELSEWHERE and count:
            reason = hold_reason(code)
            found.append(Held(code, count, reason.meaning, reason.remedy))
    return tuple(found)


def _terminal(
    workspace: Workspace, target: Target | None, by_state: Counter[str]
) -> TerminalSection:
    if target is None:
        return TerminalSection(0, ())
    parked = failed_events(workspace.store, target, states=_PARKED, n=_LISTED)
    return TerminalSection(
        count=by_state["terminal_failed"] + by_state["dead_letter"],
        events=tuple(FailedEvent(e.event_id, e.target_id, e.reason or None) for e in parked),
    )


def _report(
    settings: Settings,
    clock: Clock,
    standing: _Standing,
    legacy: LegacySection,
    uploads: BodyUploadSection,
) -> StatusReport:
    attention = _attention(standing, legacy)
    return StatusReport(
        schema_version=SCHEMA_VERSION,
        ok=not attention,
        exit_code=0,
        generated_at=utc_iso(clock.now_ms()),
        home=str(settings.home.root),
        summary=_in_one_line(standing, legacy),
        target_authority=standing.resolved,
        event_journal=standing.journal,
        delivery_targets=standing.targets,
        delivery_ledger=standing.ledger,
        held=standing.held,
        terminal_failures=standing.terminal,
        legacy_sources=legacy,
        body_upload_compatibility=uploads,
        attention=attention,
    )


def _attention(standing: _Standing, legacy: LegacySection) -> tuple[Attention, ...]:
    found = []
    if standing.resolved.override_mode is OverrideMode.SETUP_ONLY:
        found.append(
            Attention(
                "target_conflict",
                "configuration and environment name different servers",
                "Set SPEC_KITTY_TARGET_OVERRIDE=process, or run `spec-kitty sync server URL`.",
            )
        )
    if legacy.waiting:
        found.append(
            Attention(
                "legacy_rows_waiting",
                f"{legacy.waiting} events wait in queues of older versions",
                "Run `spec-kitty sync migrate`.",
            )
        )
    if standing.terminal.count:
        found.append(
            Attention(
                "parked_events",
                f"{standing.terminal.count} events are not sent again by themselves",
                "Run `spec-kitty sync retry --dead --terminal` when the cause is mended.",
            )
        )
    found.extend(
        Attention(f"held_{held.reason}", f"{held.count} events: {held.meaning}", held.remedy)
        for held in standing.held
        if held.remedy
    )
    return tuple(found)


def _in_one_line(standing: _Standing, legacy: LegacySection) -> str:
    ledger = standing.ledger
    parts = []
    if ledger.undelivered:
        parts.append(f"{ledger.undelivered} to deliver")
    parts.extend(f"{held.count} {held.meaning}" for held in standing.held)
    if legacy.waiting:
        parts.append(f"{legacy.waiting} in queues of older versions")
    if standing.terminal.count:
        parts.append(f"{standing.terminal.count} parked")
    if parts:
        return "; ".join(parts)
    if not standing.journal.retained_event_count:
        return "the journal is empty"
    return "everything delivered"
