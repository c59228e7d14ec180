"""The event: a frozen envelope that gives back exactly the bytes it was read from (CONTRACT 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from spec_kitty_sync import _json
from spec_kitty_sync.errors import InvalidEventError
from spec_kitty_sync.events.admission import known_major
from spec_kitty_sync.events.envelope import Dialect, dialect_of
from spec_kitty_sync.events.fields import Clock, Text, Tier, Timestamp, Ulid, Uuid4, Version
from spec_kitty_sync.events.findings import Finding
from spec_kitty_sync.events.mission_payloads import SCHEMA_VERSION
from spec_kitty_sync.events.violations import findings_of

_AS_WRITTEN = "as_written"


class Event(BaseModel):
    """One event. Made by call it must be canonical; read by `from_wire` it may be any dialect.

    Defaults fill attributes only: `to_wire` never writes a field that was not given. Two events are
    equal when their canonical content is: `true` ≠ `1` ≠ `1.0`, null ≠ absent.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    event_id: Ulid
    event_type: Text
    aggregate_id: Text
    aggregate_type: Text | None = None
    payload: dict[str, Any]
    timestamp: Timestamp
    node_id: Text
    lamport_clock: Clock
    causation_id: Ulid | None = None
    project_uuid: Uuid4 | None = None
    project_slug: Text | None = None
    team_slug: Text | None = None
    correlation_id: Ulid | None = None
    schema_version: Version = Field(default=SCHEMA_VERSION)
    data_tier: Tier = 0

    _body: bytes | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _rules(self, info: ValidationInfo) -> Self:
        if not known_major(self.schema_version):
            raise PydanticCustomError(
                "schema_version_unsupported",
                "schema_version {version}: only majors 1 and 3 are known",
                {"version": self.schema_version},
            )
        if not (info.context or {}).get(_AS_WRITTEN):
            for name in ("correlation_id", "project_uuid"):
                if getattr(self, name) is None:
                    raise PydanticCustomError(f"{name}_missing", f"{name} is required")
            # Now, because the caller may still change what it passed as payload.
            self._body = self._written()
        return self

    @classmethod
    def from_wire(cls, wire: bytes | dict[str, Any]) -> Self:
        """Return the event that *wire* holds, in any dialect.

        Raises:
            JsonError: not strict JSON (a dict: something in it has no JSON form).
            InvalidEventError: the envelope breaks a rule; `facts["findings"]` lists them.
        """
        body = wire if isinstance(wire, bytes) else _json.dumps(wire)
        value = _json.loads_strict(body)
        try:
            event = cls.model_validate(value, context={_AS_WRITTEN: True})
        except ValidationError as error:
            raise _invalid(findings_of(error, value)) from None
        event.__pydantic_private__ = {"_body": body}
        return event

    def to_wire(self) -> bytes:
        """Return the bytes this event was read from, or compact JSON of the fields given."""
        return self._written() if self._body is None else self._body

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; one with an *update* (not validated) has bytes of its own."""
        copy = super().model_copy(update=update, deep=deep)
        if update:
            copy._body = None
        return copy

    @property
    def dialect(self) -> Dialect:
        """The generation of the design that the envelope follows."""
        stated = {name: getattr(self, name) for name in ("correlation_id", "project_uuid")}
        return dialect_of(stated)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        if self.event_id != other.event_id:
            return False
        mine, others = self.to_wire(), other.to_wire()
        return mine == others or _json.canonical(mine) == _json.canonical(others)

    def __hash__(self) -> int:
        return hash(self.event_id)

    def _written(self) -> bytes:
        return _json.dumps(self.model_dump(mode="json", exclude_unset=True))


def _invalid(findings: tuple[Finding, ...]) -> InvalidEventError:
    message = "; ".join(each.message for each in findings)
    return InvalidEventError(message, findings=findings)
