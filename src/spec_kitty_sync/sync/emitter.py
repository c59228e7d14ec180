"""Making events: envelope, validation, clock and append in one transaction (CONTRACT 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spec_kitty_sync._clock import Clock, IdSource, utc_iso
from spec_kitty_sync._json import dumps
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.errors import InvalidEventError
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.registry import DEFAULT_TIER, EventType, Registry
from spec_kitty_sync.events.validation import Validator
from spec_kitty_sync.identity import clock as lamport
from spec_kitty_sync.identity.node import generate_node_id
from spec_kitty_sync.identity.project import ProjectIdentity
from spec_kitty_sync.sync.config import Settings

_LOCAL_TEAM = "local"
_SCHEMA_VERSION = "1.0.0"


class EventEmitter:
    """Builds whole envelopes and appends them; delivery is somebody else's business."""

    def __init__(
        self,
        *,
        store: Store,
        queue: SqliteJournal,
        registry: Registry,
        settings: Settings,
        identity: ProjectIdentity,
        clock: Clock,
        new_id: IdSource,
        team_slug: str | None = None,
    ) -> None:
        self._store = store
        self._journal = queue
        self._registry = registry
        self._validator = Validator(registry)
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._new_id = new_id
        self._team = team_slug or _LOCAL_TEAM

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

        Raises:
            InvalidEventError: it breaks a rule of the contract; nothing was stored.
            StoreError: it could not be stored.
        """
        kind = self._registry.find(event_type)
        with self._store.transaction() as conn:
            envelope = {
                "event_id": self._new_id(),
                "event_type": event_type,
                "aggregate_id": aggregate_id,
                "aggregate_type": aggregate_type or (kind.aggregate_types[0] if kind else None),
                "payload": dict(payload),
                "timestamp": utc_iso(self._clock.now_ms()),
                "node_id": self._identity.node_id or generate_node_id(),
                "lamport_clock": lamport.tick(conn),
                "causation_id": causation_id,
                "correlation_id": correlation_id or self._correlation_id(),
                "project_uuid": _text(self._identity.project_uuid),
                "project_slug": self._identity.project_slug,
                "team_slug": self._team,
                "schema_version": _SCHEMA_VERSION,
                "data_tier": data_tier if data_tier is not None else _default_tier(kind),
            }
            body = dumps(envelope)
            self._refuse_invalid(body)
            self._journal.append(admit(body, registry=self._registry))
        return Event.from_wire(body)

    def _correlation_id(self) -> str:
        return self._settings.env("SPEC_KITTY_CORRELATION_ID") or self._new_id()

    def _refuse_invalid(self, body: bytes) -> None:
        verdict = self._validator.validate(body)
        # A missing project identity holds the event, it does not refuse it.
        errors = [
            f
            for f in verdict.findings
            if f.severity == "error"
            and not (f.path == "/project_uuid" and self._identity.project_uuid is None)
        ]
        if errors:
            first = errors[0]
            raise InvalidEventError(
                f"{verdict.event_type} was not emitted: {first.path}: {first.message}",
                findings=[{"code": f.code, "path": f.path, "message": f.message} for f in errors],
            )


def _default_tier(kind: EventType | None) -> int:
    return kind.tier if kind else DEFAULT_TIER


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
