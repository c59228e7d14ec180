"""Whether one event may be stored: size, contract, audience. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spec_kitty_sync.events.ordering import mission_slug
from spec_kitty_sync.events.registry import DEFAULT_TIER, Registry
from spec_kitty_sync.events.validation import Validator
from spec_kitty_sync.receiver.decide import NewEvent, Refused, Verdict
from spec_kitty_sync.receiver.principals import Principal
from spec_kitty_sync.receiver.split import Element

Judge = Callable[[Element, Principal], Verdict]


@dataclass(frozen=True, slots=True)
class Rules:
    """The contract as compiled validators, and what this receiver adds; `tiers` None takes all."""

    registry: Registry
    validator: Validator
    max_event_bytes: int
    tiers: frozenset[int] | None = None


def judge(element: Element, principal: Principal, *, rules: Rules) -> Verdict:
    """Return the event to store, or why it is refused; the reason names the field."""
    if len(element.body) > rules.max_event_bytes:
        return _oversize(element, rules.max_event_bytes)
    if element.fields is None:
        return _mismatch(element, f"events[{element.index}] is not a JSON object")
    if element.event_id is None:
        return _mismatch(element, f"events[{element.index}]: event_id is missing or no text")
    checked = rules.validator.validate(element.body, limit_bytes=rules.max_event_bytes)
    if not checked.valid:
        errors = [each.message for each in checked.findings if each.severity == "error"]
        return _mismatch(element, "; ".join(errors))
    return _audience(element, element.fields, principal, rules)


def _audience(
    element: Element, fields: Mapping[str, Any], principal: Principal, rules: Rules
) -> Verdict:
    project_uuid = str(fields["project_uuid"]).lower()
    team = fields.get("team_slug")
    if rules.tiers is not None and (tier := _tier(fields, rules.registry)) not in rules.tiers:
        error = f"data_tier {tier} is not taken here"
        return Refused(element.event_id, error, "data_tier")
    if principal.team and team not in (None, "local", principal.team):
        error = "team_slug names a team that this token may not write to"
        return Refused(element.event_id, error, "team_scope")
    if principal.projects is not None and project_uuid not in principal.projects:
        error = "project_uuid names a project that this token may not write to"
        return Refused(element.event_id, error, "team_scope")
    return NewEvent(
        scope=principal.scope,
        event_id=str(fields["event_id"]),
        event_type=str(fields["event_type"]),
        project_uuid=project_uuid,
        body=element.body,
        settles_at_ms=0,
        mission=_mission(fields["payload"]),
        team=team if team != "local" else None,
    )


def _mission(payload: Mapping[str, Any]) -> str | None:
    """Return the mission that *payload* names, by its slug or else its id."""
    mission_id = payload.get("mission_id")
    return mission_slug(payload) or (mission_id if isinstance(mission_id, str) else None) or None


def _tier(fields: Mapping[str, Any], registry: Registry) -> int:
    """Return the stated data tier, else the one of the event's type."""
    stated = fields.get("data_tier")
    if stated is not None:
        return int(stated)
    known = registry.find(fields["event_type"])
    return known.tier if known else DEFAULT_TIER


def _oversize(element: Element, limit_bytes: int) -> Refused:
    error = f"the event is too large: {len(element.body)} bytes, at most {limit_bytes}"
    return Refused(element.event_id, error, "oversize", "failed_permanent")


def _mismatch(element: Element, error: str) -> Refused:
    return Refused(element.event_id, error, "schema_mismatch")
