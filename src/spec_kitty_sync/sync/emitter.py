"""Making events: envelope, validation, clock and append in one transaction (CONTRACT 6)."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from spec_kitty_sync._clock import Clock, IdSource
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.config import DiscardAudit, DiscardVerdict, EventSyncConfig
from spec_kitty_sync.errors import StoreError, StoreUncertainError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import Admitted, admit
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.registry import Registry
from spec_kitty_sync.events.validation import Validator
from spec_kitty_sync.identity.clock import StoredClock
from spec_kitty_sync.sync.blocked import BlockedReason, BlockedRuns
from spec_kitty_sync.sync.config import SyncConfig
from spec_kitty_sync.sync.correlation import Correlations, mission_of
from spec_kitty_sync.sync.draft import (
    Draft,
    DraftMaker,
    EmitOptions,
    refuse_invalid,
    refuse_too_large,
)
from spec_kitty_sync.sync.project_context import ProjectContext
from spec_kitty_sync.sync.typed_events import TypedEvents
from spec_kitty_sync.sync.websocket import WebSocketClient

_LOG = logging.getLogger(__name__)
_SAMPLE_ULID = "0" * 26


class TeamSource(Protocol):
    """What the emitter needs of the login."""

    @property
    def team_slug(self) -> str | None: ...


Live = Callable[[WebSocketClient, int, Admitted], bool]
"""Sends one event and settles it by its ack; False leaves it to the drain. Never raises."""


@dataclass(frozen=True)
class EmitterParts:
    """What an emitter works with besides its five seams.

    `blocked` is asked first of all, why an event captured now could not leave; `policy`
    says which events are kept; `live` sends one over a connection;
    `on_waiting` is told that one waits.
    """

    store: Store
    registry: Registry
    wall: Clock
    new_id: IdSource
    project: ProjectContext
    correlations: Correlations
    runs: BlockedRuns
    discards: DiscardAudit
    blocked: Callable[[], BlockedReason | None] = lambda: None
    policy: Callable[[], EventSyncConfig] = lambda: EventSyncConfig.LOCAL_RETENTION
    live: Live = lambda client, seq, event: False
    on_waiting: Callable[[], None] = lambda: None


@dataclass
class EventEmitter(TypedEvents):
    """Builds whole envelopes, appends them, and only then thinks of delivery."""

    clock: StoredClock
    auth: TeamSource
    config: SyncConfig
    queue: SqliteJournal
    ws_client: WebSocketClient | None = None
    parts: EmitterParts = field(kw_only=True, repr=False)

    def __post_init__(self) -> None:
        parts = self.parts
        self._validator = Validator(parts.registry, strict=True)
        self._drafts = DraftMaker(parts.registry, parts.project, parts.wall, parts.new_id)
        self._warned: set[str] = set()
        self._one_at_a_time = threading.RLock()
        self._pid = os.getpid()

    @property
    def lanes(self) -> str:
        """`four` where the target takes only the collapsed lanes, else `seven`."""
        return self.config.lanes

    def emit(
        self,
        event_type: str,
        aggregate_id: str,
        payload: Mapping[str, Any],
        *,
        aggregate_type: str | None = None,
        causation_id: str | None = None,
        correlation_id: str | None = None,
        data_tier: int | None = None,
    ) -> Event:
        """Append one event and return it; durable when it returns.

        What stands in the way of delivery is written beside the event and raises nothing.

        Raises:
            InvalidEventError, UnknownEventTypeError: it breaks a rule of the contract; nothing was
                stored.
            StoreError: it could not be stored.
        """
        options = EmitOptions(
            aggregate_type=aggregate_type,
            causation_id=causation_id,
            correlation_id=correlation_id,
            data_tier=data_tier,
        )
        return self.emit_with(event_type, aggregate_id, payload, options)

    def emit_with(
        self,
        event_type: str,
        aggregate_id: str,
        payload: Mapping[str, Any],
        options: EmitOptions,
    ) -> Event:
        """Do what `emit` does, with its options in one value."""
        if os.getpid() != self._pid:
            raise StoreError(
                "this emitter was made before the process forked",
                remedy="Call get_emitter() again in the new process.",
            )
        with self._one_at_a_time:
            event = self._capture(event_type, aggregate_id, payload, options)
        return Event.from_wire(event.body)

    def _capture(
        self,
        event_type: str,
        aggregate_id: str,
        payload: Mapping[str, Any],
        options: EmitOptions,
    ) -> Admitted:
        blocked = self.parts.blocked()
        draft = self._drafts.make(
            event_type, aggregate_id, payload, team=self.auth.team_slug, options=options
        )
        admitted = self._checked(draft, options)
        stated, mission = options.correlation_id, mission_of(payload)
        try:
            seq, event = self._append(draft, admitted, blocked, stated=stated, mission=mission)
        except StoreUncertainError as exc:
            remedy = f"Run `spec-kitty sync show {draft.event_id}`: if it is not there, emit again."
            raise StoreUncertainError(exc.message, remedy=remedy, **exc.facts) from exc
        self.clock.copy()
        if seq is not None:
            self._route(seq, event, blocked)
        return event

    def pause(self) -> None:
        """Let no thread emit until `resume`; waits for the one that does."""
        self._one_at_a_time.acquire()

    def resume(self) -> None:
        """Undo `pause`, on the same thread."""
        self._one_at_a_time.release()

    def close(self) -> None:
        """Leave an exact copy of the clock behind; the store is its opener's to close."""
        with self._one_at_a_time:
            self.clock.close()

    def _checked(self, draft: Draft, options: EmitOptions) -> Admitted:
        stated = options.correlation_id or self.parts.correlations.chosen
        sample = draft.body(0, stated or _SAMPLE_ULID)
        unknown = self.parts.project.project_uuid is None
        refuse_invalid(self._validator.validate(sample), identity_missing=unknown)
        admitted = admit(sample, registry=self.parts.registry)
        if options.hold is not None and admitted.hold is None:
            code, detail = options.hold
            return admitted._replace(hold=code, hold_detail=detail)
        return admitted

    def _append(
        self,
        draft: Draft,
        admitted: Admitted,
        blocked: BlockedReason | None,
        *,
        stated: str | None,
        mission: str,
    ) -> tuple[int | None, Admitted]:
        """Tick and append in one transaction; no seq for an event that is not kept."""
        parts, project = self.parts, admitted.project_uuid or ""
        seq = None
        with parts.store.transaction() as conn:
            used = parts.correlations.of(conn, project, mission, stated=stated)
            lamport = self.clock.tick()
            body = draft.body(lamport, used)
            refuse_too_large(admitted.event_type, len(body))
            event = admitted._replace(body=body, lamport_clock=lamport, correlation_id=used)
            verdict = parts.policy().judge_discard(family=event.family, tier=event.tier)
            if verdict is not DiscardVerdict.DROP:
                seq = self.queue.append(event).seq
                if blocked is not None and _may_leave(event):
                    parts.runs.note(conn, seq, blocked)
            parts.discards.note(
                verdict,
                event_id=event.event_id,
                event_type=event.event_type,
                family=event.family,
            )
            parts.correlations.forget_terminal(
                conn, project, event.event_type, mission=mission, used=used
            )
        return seq, event

    def _route(self, seq: int, event: Admitted, blocked: BlockedReason | None) -> None:
        """Think of delivery, now that the event is safe."""
        if event.hold == "no_identity":
            self._warn_once(
                "no_identity", "events are kept, but cannot leave: the project has no identity"
            )
        if blocked is not None or not _may_leave(event):
            return
        client = self.ws_client
        if client is None or not client.connected or not self.parts.live(client, seq, event):
            self.parts.on_waiting()

    def _warn_once(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _LOG.warning(message)


def _may_leave(event: Admitted) -> bool:
    return event.hold is None and event.tier > 0
