"""Single events: everything that is known of one, and lists of those that do not get through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync.delivery.facts import takers_of
from spec_kitty_sync.delivery.history import LedgerRow, failed_events, rows_of
from spec_kitty_sync.delivery.waiting import list_held
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.event_journal.models import JournalRecord
from spec_kitty_sync.sync.blocked import BlockedRuns
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.hold_reasons import hold_reason
from spec_kitty_sync.sync.workspace import Workspace, read_workspace

_PROVENANCE = """
SELECT s.path, p.source_row, p.queued_at, p.retry_count, p.note
FROM migration_provenance p JOIN migration_source s ON s.id = p.source_id
WHERE p.seq = ? ORDER BY s.path
"""
_CONFLICTS = "SELECT count(*) FROM migration_conflict WHERE event_id = ? AND kept IS NULL"


@dataclass(frozen=True)
class Provenance:
    """One legacy source that held the event. `retry_count` is what its CLI counted."""

    source: str
    row: int
    queued_at: str | None
    retry_count: int | None
    note: str | None


@dataclass(frozen=True)
class Correction:
    """What an operator did to the event."""

    action: str
    reason: str
    at: str


@dataclass(frozen=True)
class TargetState:
    """What one target has been told of the event, in one of its epochs. Times RFC 3339."""

    target_id: int
    url: str
    epoch: int
    current: bool
    state: str
    category: str | None
    reason: str | None
    attempts: int
    rejections: int
    first_at: str | None
    last_at: str | None
    next_at: str | None
    http_status: int | None
    endpoint: str | None
    user: str | None
    team: str | None
    deployment_id: str | None


@dataclass(frozen=True)
class Claim:
    """A target that may have the event: it was about to be sent, and no answer was recorded."""

    target_id: int
    url: str
    active: bool
    since: str


@dataclass(frozen=True)
class EventView:
    """One event: its bytes, where it stands here, and who has been told.

    `envelope` is None where the bytes are gone or no JSON; `text` is what is stored.
    """

    event_id: str
    event_type: str
    seq: int
    size: int
    tier: int
    team: str | None
    project_uuid: str | None
    occurred_at: str | None
    appended_at: str
    hold: str | None
    hold_detail: str | None
    superseded_by: int | None
    removed: str | None
    blocked: str | None
    conflicts: int
    envelope: Any
    text: str | None
    targets: tuple[TargetState, ...]
    claims: tuple[Claim, ...]
    provenance: tuple[Provenance, ...]
    corrections: tuple[Correction, ...]


@dataclass(frozen=True)
class EventLine:
    """One row of a list: where an event stands, and why."""

    event_id: str
    event_type: str
    state: str
    reason: str
    attempts: int


def show_event(settings: Settings, event_id: str) -> EventView:
    """Return everything that is known of one event. Reads only.

    Raises:
        UsageError: the journal has no such event.
    """
    with read_workspace(settings) as workspace:
        record = workspace.journal.get(event_id) if workspace else None
        if workspace is None or record is None:
            raise UsageError(
                f"event {event_id} is not in the journal",
                remedy="Check the id; `spec-kitty diagnose` lists events of old queues too.",
            )
        return _view(workspace, record)


def _view(workspace: Workspace, record: JournalRecord) -> EventView:
    text = None if record.body is None else record.body.decode("utf-8", "backslashreplace")
    with workspace.store.reading() as conn:
        provenance = tuple(
            Provenance(path, row, _seconds(queued), retries, note)
            for path, row, queued, retries, note in conn.execute(_PROVENANCE, (record.seq,))
        )
        conflicts = int(conn.execute(_CONFLICTS, (record.event_id,)).fetchone()[0])
    corrections = tuple(
        Correction(entry.action, entry.reason, utc_iso(entry.at_ms))
        for entry in workspace.corrections.audit()
        if entry.seq == record.seq
    )
    blocked = BlockedRuns(workspace.store, clock=workspace.clock).reason_of(record.event_id)
    targets = tuple(map(_state, rows_of(workspace.store, record.seq)))
    delivered = any(state.current and state.state == "delivered" for state in targets)
    return EventView(
        event_id=record.event_id,
        event_type=record.event_type,
        seq=record.seq,
        size=record.body_bytes,
        tier=record.tier,
        team=record.team,
        project_uuid=record.project_uuid,
        occurred_at=record.occurred_at,
        appended_at=utc_iso(record.appended_at_ms),
        hold=record.hold,
        hold_detail=record.hold_detail,
        superseded_by=record.superseded_by,
        removed=record.removed,
        blocked=None if delivered else blocked,
        conflicts=conflicts,
        envelope=_parsed(text),
        text=text,
        targets=targets,
        claims=tuple(_claims(workspace, record.seq)),
        provenance=provenance,
        corrections=corrections,
    )


def _claims(workspace: Workspace, seq: int) -> Iterator[Claim]:
    for taker in takers_of(workspace.store, [seq]):
        if taker.state == "claimed" and taker.at is not None:
            yield Claim(taker.target_id, taker.url, taker.active, utc_iso(taker.at))


def _state(row: LedgerRow) -> TargetState:
    waits = row.state in ("pending", "transient", "rejected")
    return TargetState(
        target_id=row.target_id,
        url=row.url,
        epoch=row.epoch,
        current=row.current,
        state=row.state,
        category=row.category or None,
        reason=row.reason,
        attempts=row.attempts,
        rejections=row.rejections,
        first_at=_millis(row.first_at),
        last_at=_millis(row.last_at),
        next_at=_millis(row.not_before) if waits else None,
        http_status=row.http_status,
        endpoint=row.endpoint,
        user=row.user_email or None,
        team=row.team_slug or None,
        deployment_id=row.deployment_id,
    )


def _parsed(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _millis(moment: int | None) -> str | None:
    return None if moment is None else utc_iso(moment)


def _seconds(moment: int | None) -> str | None:
    try:
        return None if moment is None else utc_iso(moment * 1000)
    except (ValueError, OverflowError, OSError):
        return None


def list_events(
    settings: Settings, *, state: str | None = None, held: str | None = None, limit: int = 20
) -> tuple[EventLine, ...]:
    """Return the first events in *state* for the present target, or held for the reason *held*.

    `state="held"` lists all that stay here, whatever the reason. Reads only.
    """
    with read_workspace(settings) as workspace:
        if workspace is None:
            return ()
        if held is not None or state == "held":
            return tuple(_held(workspace, held, limit))
        return tuple(_in_state(workspace, state or "dead_letter", limit))


def stored_lines(
    settings: Settings, *, state: str | None = None, held: str | None = None, limit: int
) -> Iterator[str]:
    """Yield the stored text of the events that `list_events` lists, each on one line.

    Those whose bytes are gone are left out. Reads only.
    """
    lines = list_events(settings, state=state, held=held, limit=limit)
    with read_workspace(settings) as workspace:
        for each in lines:
            record = workspace.journal.get(each.event_id) if workspace else None
            if record is not None and record.body is not None:
                # Strict JSON has line breaks only between its tokens.
                text = record.body.decode("utf-8", "backslashreplace")
                yield text.replace("\r", " ").replace("\n", " ")


def _held(workspace: Workspace, reason: str | None, limit: int) -> Iterator[EventLine]:
    target = workspace.known_target()
    for _, event_id, code in list_held(workspace.store, target, reason=reason, n=limit):
        record = workspace.journal.get(event_id)
        assert record is not None
        why = record.hold_detail or hold_reason(code).meaning
        yield EventLine(event_id, record.event_type, f"held: {code}", why, 0)


def _in_state(workspace: Workspace, state: str, limit: int) -> Iterator[EventLine]:
    target = workspace.known_target()
    if target is None:
        return
    for each in failed_events(workspace.store, target, states=(state,), n=limit):
        record = workspace.journal.get(each.event_id)
        assert record is not None
        reason = each.reason or each.category
        yield EventLine(each.event_id, record.event_type, each.state, reason, each.attempts)
