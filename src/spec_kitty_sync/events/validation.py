"""Judges events against envelope, lanes and payloads; diagnose, emitter and receiver call it.

The happy case runs through compiled validators; findings are built only when a rule is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from spec_kitty_sync import _json
from spec_kitty_sync.errors import JsonError
from spec_kitty_sync.events.admission import EVENT_LIMIT_BYTES, known_major
from spec_kitty_sync.events.envelope import Envelope, dialect_of
from spec_kitty_sync.events.findings import Finding, Severity, pointer, shorten
from spec_kitty_sync.events.lanes import FieldLane
from spec_kitty_sync.events.registry import FIELD, EventType, Registry, Shape
from spec_kitty_sync.events.violations import LANE_FIELDS, findings_of

_FIELD_LANES = frozenset(lane.value for lane in FieldLane)
_FIELD_PLACES = frozenset(product(LANE_FIELDS, _FIELD_LANES)) - {("to_lane", "genesis")}

Validate = Callable[[Any], Any]


class Validation(NamedTuple):
    """The verdict on one event; `valid` means no finding is an error.

    `event_id`, `event_type` and `dialect` are None where the bytes do not tell.
    """

    event_id: str | None
    event_type: str | None
    dialect: str | None
    findings: tuple[Finding, ...]
    valid: bool


class Validator:
    """Validates many events by the same rules; compiled once, safe to share between threads.

    `packs` restricts what counts as known (default: all). `strict` demands the canonical dialect,
    an identity and contract lanes. `wire` demands what must be there before an event is sent.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        packs: frozenset[str] | None = None,
        strict: bool = False,
        allow_unknown: bool = False,
        wire: bool = False,
    ) -> None:
        self._registry = registry
        self._packs = packs
        self._strict = strict
        self._wire = wire
        self._unknown: Severity = "warning" if allow_unknown else "error"
        has_field = packs is None or FIELD in packs
        self._field_lane: Severity = "warning" if has_field and not strict else "error"
        self._aggregates = registry.aggregates(packs)
        self._envelope = _validate_envelope()
        self._types = {
            each.name: _Compiled(each, packs) for each in registry if self._has(each.pack)
        }

    def validate(self, body: bytes, *, limit_bytes: int = EVENT_LIMIT_BYTES) -> Validation:
        """Return the verdict on the event in *body*; never raises for a bad one."""
        try:
            event = _json.loads_strict(body)
        except JsonError as error:
            return self._unreadable(body, error)
        verdict = self.validate_parsed(event)
        if len(body) > limit_bytes:
            message = f"the event has {len(body)} bytes, the limit is {limit_bytes}"
            findings = (Finding("too_large", "error", "", message), *verdict.findings)
            return verdict._replace(findings=findings, valid=False)
        return verdict

    def validate_parsed(self, event: Any) -> Validation:
        """Return the verdict on *event*, a value that came from strict JSON."""
        if type(event) is not dict:
            message = f"the event is {shorten(event)}, not an object"
            return Validation(
                None, None, None, (Finding("not_object", "error", "", message),), False
            )
        event_type = event.get("event_type")
        known = self._types.get(event_type) if type(event_type) is str else None
        try:
            self._envelope(event)
            doubtful = known is None or known.bends(event["payload"])
        except ValidationError:
            doubtful = True
        if doubtful or self._bends(event, known):
            return self._explain(event, known)
        is_canonical = event.get("correlation_id") is not None
        dialect = "canonical" if is_canonical else dialect_of(event).value
        return Validation(event["event_id"], event_type, dialect, (), True)

    def _has(self, pack: str) -> bool:
        return self._packs is None or pack in self._packs

    def _bends(self, event: Mapping[str, Any], known: _Compiled | None) -> bool:
        """Return True when a rule beyond types may be broken; cheap, may cry wolf."""
        if known is None or event.get("project_uuid") is None:
            return True
        if event["aggregate_type"] not in known.aggregate_types:
            return True
        if self._strict and event.get("correlation_id") is None:
            return True
        version = event.get("schema_version", "1.0.0")
        return version != "1.0.0" and not known_major(version)

    def _explain(self, event: dict[str, Any], known: _Compiled | None) -> Validation:
        findings = tuple(self._findings(event, known))
        event_id, event_type = event.get("event_id"), event.get("event_type")
        return Validation(
            event_id if type(event_id) is str else None,
            event_type if type(event_type) is str else None,
            dialect_of(event).value,
            findings,
            not any(each.severity == "error" for each in findings),
        )

    def _findings(self, event: dict[str, Any], known: _Compiled | None) -> Iterator[Finding]:
        yield from _model_findings(self._envelope, event, ())
        yield from self._envelope_findings(event, known)
        payload = event.get("payload")
        if known is None:
            yield from self._unknown_type(event.get("event_type"))
        elif type(payload) is dict:
            yield from known.findings(payload)
            if known.has_lanes:
                yield from self._lane_findings(payload)

    def _envelope_findings(
        self, event: Mapping[str, Any], known: _Compiled | None
    ) -> Iterator[Finding]:
        version = event.get("schema_version")
        if type(version) is str and not known_major(version) and version.count(".") == 2:
            message = f"schema_version {shorten(version)}: only majors 1 and 3 are known"
            path = "/schema_version"
            yield Finding("schema_version_unsupported", "error", path, message, shorten(version))
        if event.get("project_uuid") is None:
            severity: Severity = "error" if self._wire or self._strict else "warning"
            message = "project_uuid is absent: the event cannot leave the machine"
            yield Finding("no_identity", severity, "/project_uuid", message)
        if self._strict and event.get("correlation_id") is None:
            message = "correlation_id is absent: the canonical form needs it"
            yield Finding("not_canonical", "error", "/correlation_id", message)
        aggregate = event.get("aggregate_type")
        if type(aggregate) is str and aggregate:
            yield from self._aggregate_findings(aggregate, known)

    def _aggregate_findings(self, aggregate: str, known: _Compiled | None) -> Iterator[Finding]:
        path, value = "/aggregate_type", shorten(aggregate)
        if aggregate not in self._aggregates:
            names = ", ".join(sorted(self._aggregates))
            message = f"aggregate_type {value} is none of {names}"
            yield Finding("unknown_aggregate_type", "error", path, message, value)
        elif known is not None and aggregate not in known.aggregate_types:
            expected = " or ".join(known.aggregate_types)
            message = f"aggregate_type {value}: {known.name} belongs to {expected}"
            yield Finding("unexpected_aggregate_type", "warning", path, message, value)

    def _unknown_type(self, event_type: Any) -> Iterator[Finding]:
        if type(event_type) is str and event_type:
            value = shorten(event_type)
            message = f"event_type {value} is not registered"
            yield Finding("unknown_event_type", self._unknown, "/event_type", message, value)

    def _lane_findings(self, payload: Mapping[str, Any]) -> Iterator[Finding]:
        for name in LANE_FIELDS:
            lane = payload.get(name)
            if type(lane) is str and (name, lane) in _FIELD_PLACES:
                message = f"{name} {lane!r} is a lane of older CLIs, not of the contract"
                path = pointer("payload", name)
                yield Finding("field_lane", self._field_lane, path, message, shorten(lane))

    def _unreadable(self, body: bytes, error: JsonError) -> Validation:
        path = str(error.facts.get("pointer", ""))
        message = f"{error.message} (at {path})" if path else error.message
        finding = Finding(error.facts["reason"], "error", path, message)
        try:
            event = _json.loads_lenient(body.removeprefix(_json.BOM))
        except JsonError:
            event = None
        if type(event) is not dict:
            return Validation(None, None, None, (finding,), False)
        rest = self.validate_parsed(event)
        return Validation(
            _printable(rest.event_id),
            _printable(rest.event_type),
            rest.dialect,
            (finding, *rest.findings),
            valid=False,
        )


class _Compiled:
    """One event type with its validators built."""

    def __init__(self, event_type: EventType, packs: frozenset[str] | None) -> None:
        self.name = event_type.name
        self.aggregate_types = event_type.aggregate_types
        chosen = [s for s in event_type.shapes if packs is None or s.pack in packs]
        self._shapes = [(shape, _validator_of(shape)) for shape in chosen]
        self.has_lanes = any(
            shape.model is not None and "to_lane" in shape.model.model_fields for shape in chosen
        )
        last = chosen[-1] if chosen else None
        takes_all = last is not None and not last.any_of
        self._usual: Validate | None = self._shapes[-1][1] if takes_all else None
        # Without any of these keys a payload is of the last shape, which takes everything.
        self._unusual = frozenset().union(*(shape.any_of for shape in chosen))

    def bends(self, payload: Any) -> bool:
        """Return True when findings may exist that models do not raise for.

        Raises:
            ValidationError: *payload* breaks a rule of its shape's model.
        """
        validate = self._usual
        if validate is None or not self._unusual.isdisjoint(payload):
            _, validate = self._choose(payload)
            if validate is None:
                return True
        validate(payload)
        return self.has_lanes and (
            payload.get("from_lane") in _FIELD_LANES or payload.get("to_lane") in _FIELD_LANES
        )

    def findings(self, payload: dict[str, Any]) -> Iterator[Finding]:
        shape, validate = self._choose(payload)
        if shape is None and self._shapes:
            message = f"payload: of none of the shapes that {self.name} has"
            yield Finding("schema_violation", "error", "/payload", message)
        if validate is not None:
            yield from _model_findings(validate, payload, ("payload",))
        if shape is not None and shape.check is not None:
            for code, place, message, value in shape.check(payload):
                path = pointer("payload", *place)
                yield Finding(code, "error", path, message, shorten(value))

    def _choose(self, payload: Any) -> tuple[Shape | None, Validate | None]:
        for shape, validate in self._shapes:
            if shape.takes(payload):
                return shape, validate
        return None, None


def _printable(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def _validator_of(shape: Shape) -> Validate | None:
    return None if shape.model is None else shape.model.__pydantic_validator__.validate_python


@cache
def _validate_envelope() -> Validate:
    return TypeAdapter(Envelope).validator.validate_python


def _model_findings(validate: Validate, value: Any, prefix: tuple[str, ...]) -> tuple[Finding, ...]:
    try:
        validate(value)
    except ValidationError as error:
        return findings_of(error, value, prefix)
    return ()


def validate(
    body: bytes,
    *,
    registry: Registry,
    packs: frozenset[str] | None = None,
    strict: bool = False,
    allow_unknown: bool = False,
) -> Validation:
    """Return the verdict on one event; for many, keep a `Validator`."""
    validator = Validator(registry, packs=packs, strict=strict, allow_unknown=allow_unknown)
    return validator.validate(body)
