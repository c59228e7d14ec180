"""An envelope before its place in the order is known: all but the clock and the correlation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONEncoder
from typing import Any

from spec_kitty_sync._clock import Clock, IdSource, utc_iso
from spec_kitty_sync._json import dumps
from spec_kitty_sync.errors import InvalidEventError, JsonError
from spec_kitty_sync.events.admission import EVENT_LIMIT_BYTES
from spec_kitty_sync.events.mission_payloads import SCHEMA_VERSION
from spec_kitty_sync.events.registry import Registry
from spec_kitty_sync.events.validation import Validation
from spec_kitty_sync.sync.project_context import ProjectContext

LOCAL_TEAM = "local"
_ENCODE = JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class EmitOptions:
    """What a caller may state beside type, aggregate and payload.

    `aggregate_id` goes before the one that the method derives. `hold` keeps the event from every
    target: a code, and what it means here.
    """

    aggregate_id: str | None = None
    aggregate_type: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None
    data_tier: int | None = None
    hold: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """The two halves of an envelope around its clock; bytes, so that nothing is encoded twice."""

    event_id: str
    head: bytes
    tail: bytes

    def body(self, lamport_clock: int, correlation_id: str) -> bytes:
        """Return the whole envelope."""
        order = b'"lamport_clock":%d,"correlation_id":' % lamport_clock
        return b"".join((self.head, order, _encoded(correlation_id), b",", self.tail))


@dataclass(frozen=True)
class DraftMaker:
    """Fills in what every event of a project says."""

    registry: Registry
    project: ProjectContext
    wall: Clock
    new_id: IdSource

    def make(
        self,
        event_type: str,
        aggregate_id: str,
        payload: Mapping[str, Any],
        *,
        team: str | None,
        options: EmitOptions,
    ) -> Draft:
        """Return the draft of a new event.

        Raises:
            InvalidEventError: something in it has no JSON form; names the place.
            UnknownEventTypeError: nobody registered the type.
        """
        kind = self.registry.get(event_type)
        event_id = self.new_id()
        head = {
            "event_id": event_id,
            "event_type": event_type,
            "aggregate_id": options.aggregate_id or aggregate_id,
            "aggregate_type": options.aggregate_type or kind.aggregate_types[0],
            "schema_version": SCHEMA_VERSION,
            "timestamp": utc_iso(self.wall.now_ms()),
            "node_id": self.project.node_id,
        }
        tail: dict[str, Any] = {
            "causation_id": options.causation_id,
            "project_uuid": self.project.project_uuid,
            "project_slug": self.project.identity.project_slug,
            "team_slug": team or LOCAL_TEAM,
            "data_tier": kind.tier if options.data_tier is None else options.data_tier,
        }
        facts = self.project.git.read()
        for name in facts.__slots__:
            value = getattr(facts, name)
            if value:
                tail[name] = value
        try:
            _encoded(options.correlation_id)  # joins later, but what has no bytes is refused here
            body = b',"payload":%b}' % dumps(dict(payload))
            return Draft(event_id, _encoded(head)[:-1] + b",", _encoded(tail)[1:-1] + body)
        except JsonError as error:
            path = f"/payload{error.facts.get('pointer', '')}"
            raise _refused(event_type, error.facts["reason"], path, error.message) from None
        except (TypeError, ValueError) as error:
            # Validation reads the bytes strictly; here is only what has none.
            raise _refused(event_type, "json_syntax", "", str(error)) from None


def _encoded(value: object) -> bytes:
    return _ENCODE(value).encode()


def refuse_invalid(verdict: Validation, *, identity_missing: bool) -> None:
    """Raise for an event that breaks a rule; a missing project identity only holds it.

    Raises:
        InvalidEventError: `facts["findings"]` has the code, JSON pointer and message of each.
    """
    errors = [
        finding
        for finding in verdict.findings
        if finding.severity == "error"
        and not (identity_missing and finding.path == "/project_uuid")
    ]
    if errors:
        first = errors[0]
        raise InvalidEventError(
            f"{verdict.event_type} was not emitted: {first.path}: {first.message}",
            findings=[{"code": f.code, "path": f.path, "message": f.message} for f in errors],
        )


def refuse_too_large(event_type: str, size: int) -> None:
    """Raise where the finished envelope is larger than any receiver must take."""
    if size > EVENT_LIMIT_BYTES:
        message = f"the event has {size} bytes, the limit is {EVENT_LIMIT_BYTES}"
        raise _refused(event_type, "too_large", "", message)


def _refused(event_type: str, code: str, path: str, message: str) -> InvalidEventError:
    return InvalidEventError(
        f"{event_type} was not emitted: {path or 'event'}: {message}",
        findings=[{"code": code, "path": path, "message": message}],
    )
