"""One method for each event type that we write (CONTRACT 3 and 7)."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Unpack

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from spec_kitty_sync.events import mission_payloads as mission
from spec_kitty_sync.events import payloads as wp
from spec_kitty_sync.events.lanes import Lane, collapse_lane, normalize_lane
from spec_kitty_sync.events.mission_payloads import WP_STATUS_CHANGED
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.payloads import Payload
from spec_kitty_sync.sync import event_fields as fields_of
from spec_kitty_sync.sync.draft import EmitOptions

NO_FOUR_LANE_FORM = "no_four_lane_form"
_OPTIONS = frozenset(field.name for field in fields(EmitOptions))


class TypedEvents(ABC):
    """The typed methods; `emit_with` does the work.

    Each takes what the event is about first and the rest by name; defaults of the payload are
    written out. Refusals are those of `EventEmitter.emit`.
    """

    @property
    @abstractmethod
    def lanes(self) -> str: ...

    @abstractmethod
    def emit_with(
        self,
        event_type: str,
        aggregate_id: str,
        payload: Mapping[str, Any],
        options: EmitOptions,
    ) -> Event: ...

    def emit_status_transition(
        self, wp_id: str, **given: Unpack[fields_of.StatusTransitionFields]
    ) -> Event:
        """Record a move between the seven lanes; `doing` is understood as `in_progress`."""
        return self._transition(wp_id, given)

    def emit_wp_status_changed(
        self, wp_id: str, **given: Unpack[fields_of.StatusTransitionFields]
    ) -> Event:
        """Record a move in the form that the target is configured for: seven lanes or four.

        A move inside one of the four lanes has no such form: it is kept and does not leave.
        """
        if self.lanes != "four":
            return self._transition(wp_id, given)
        start = normalize_lane(given.get("from_lane") or Lane.PLANNED)
        before, after = collapse_lane(start), collapse_lane(normalize_lane(given["to_lane"]))
        if before == after:
            detail = f"{start} and {given['to_lane']} are both {after!r} in four lanes"
            return self._transition(wp_id, given, hold=(NO_FOUR_LANE_FORM, detail))
        payload = {
            "wp_id": wp_id,
            "previous_status": before,
            "new_status": after,
            "changed_by": given["actor"],
            "feature_slug": given["feature_slug"],
        }
        options, _ = _split(given)
        return self.emit_with(WP_STATUS_CHANGED, wp_id, payload, options)

    def _transition(
        self, wp_id: str, given: Mapping[str, Any], *, hold: tuple[str, str] | None = None
    ) -> Event:
        options, payload = _split(given, hold=hold)
        for name in ("from_lane", "to_lane"):
            if payload.get(name) is not None:
                payload[name] = normalize_lane(payload[name])
        payload = _complete(wp.StatusTransitionPayload, {**payload, "wp_id": wp_id})
        return self.emit_with(WP_STATUS_CHANGED, wp_id, payload, options)

    def emit_wp_created(self, wp_id: str, **given: Unpack[fields_of.WPCreatedFields]) -> Event:
        """Record that a work package exists."""
        return self._about_wp("WPCreated", wp.WPCreatedPayload, wp_id, given)

    def emit_wp_assigned(self, wp_id: str, **given: Unpack[fields_of.WPAssignedFields]) -> Event:
        """Record that an agent took a work package."""
        return self._about_wp("WPAssigned", wp.WPAssignedPayload, wp_id, given)

    def emit_history_added(
        self, wp_id: str, **given: Unpack[fields_of.HistoryAddedFields]
    ) -> Event:
        """Record a line in the history of a work package."""
        return self._about_wp("HistoryAdded", wp.HistoryAddedPayload, wp_id, given)

    def emit_dependency_resolved(
        self, wp_id: str, **given: Unpack[fields_of.DependencyResolvedFields]
    ) -> Event:
        """Record that a work package no longer waits for another."""
        return self._about_wp("DependencyResolved", wp.DependencyResolvedPayload, wp_id, given)

    def emit_feature_created(
        self, feature_slug: str, **given: Unpack[fields_of.FeatureCreatedFields]
    ) -> Event:
        """Record that a feature exists."""
        known = {"feature_slug": feature_slug}
        return self._emit("FeatureCreated", wp.FeatureCreatedPayload, feature_slug, known, given)

    def emit_feature_completed(
        self, feature_slug: str, **given: Unpack[fields_of.FeatureCompletedFields]
    ) -> Event:
        """Record that all work packages of a feature are done."""
        known = {"feature_slug": feature_slug}
        model = wp.FeatureCompletedPayload
        return self._emit("FeatureCompleted", model, feature_slug, known, given)

    def emit_error_logged(
        self, error_message: str, **given: Unpack[fields_of.ErrorLoggedFields]
    ) -> Event:
        """Record that something failed; about its work package, or about the mission."""
        known = {"error_message": error_message}
        about = given.get("wp_id")
        if about is None:
            given.setdefault("aggregate_type", "Mission")
        aggregate_id = about or given.get("agent_id") or "unknown"
        return self._emit("ErrorLogged", wp.ErrorLoggedPayload, aggregate_id, known, given)

    def emit_mission_started(
        self, mission_id: str, **given: Unpack[fields_of.MissionStartedFields]
    ) -> Event:
        """Record that a mission began."""
        model = mission.MissionStartedPayload
        return self._about_mission(mission.MISSION_STARTED, model, mission_id, given)

    def emit_mission_completed(
        self, mission_id: str, **given: Unpack[fields_of.MissionCompletedFields]
    ) -> Event:
        """Record that a mission reached its end."""
        model = mission.MissionCompletedPayload
        return self._about_mission(mission.MISSION_COMPLETED, model, mission_id, given)

    def emit_mission_cancelled(
        self, mission_id: str, **given: Unpack[fields_of.MissionCancelledFields]
    ) -> Event:
        """Record that a mission was given up."""
        model = mission.MissionCancelledPayload
        return self._about_mission(mission.MISSION_CANCELLED, model, mission_id, given)

    def emit_phase_entered(
        self, mission_id: str, **given: Unpack[fields_of.PhaseEnteredFields]
    ) -> Event:
        """Record that a mission entered a phase."""
        model = mission.PhaseEnteredPayload
        return self._about_mission(mission.PHASE_ENTERED, model, mission_id, given)

    def emit_review_rollback(
        self, mission_id: str, **given: Unpack[fields_of.ReviewRollbackFields]
    ) -> Event:
        """Record that a review sent a mission back to an earlier phase."""
        model = mission.ReviewRollbackPayload
        return self._about_mission(mission.REVIEW_ROLLBACK, model, mission_id, given)

    def emit_gate_passed(
        self, gate_name: str, **given: Unpack[fields_of.GatePassedFields]
    ) -> Event:
        """Record that an external check run succeeded."""
        given.setdefault("conclusion", "success")
        return self._about_gate("GatePassed", mission.GatePassedPayload, gate_name, given)

    def emit_gate_failed(
        self, gate_name: str, **given: Unpack[fields_of.GateFailedFields]
    ) -> Event:
        """Record that an external check run did not succeed."""
        return self._about_gate("GateFailed", mission.GateFailedPayload, gate_name, given)

    def _about_wp(
        self, event_type: str, model: type[Payload], wp_id: str, given: Mapping[str, Any]
    ) -> Event:
        return self._emit(event_type, model, wp_id, {"wp_id": wp_id}, given)

    def _about_mission(
        self, event_type: str, model: type[Payload], mission_id: str, given: Mapping[str, Any]
    ) -> Event:
        return self._emit(event_type, model, mission_id, {"mission_id": mission_id}, given)

    def _about_gate(
        self, event_type: str, model: type[Payload], gate_name: str, given: Mapping[str, Any]
    ) -> Event:
        about = {"aggregate_type": "Mission", **given}
        return self._emit(event_type, model, gate_name, {"gate_name": gate_name}, about)

    def _emit(
        self,
        event_type: str,
        model: type[Payload],
        aggregate_id: str,
        known: Mapping[str, Any],
        given: Mapping[str, Any],
    ) -> Event:
        options, payload = _split(given)
        whole = _complete(model, {**known, **payload})
        return self.emit_with(event_type, aggregate_id, whole, options)


def emit_typed(emitter: TypedEvents, event_type: str, given: Mapping[str, Any]) -> Event:
    """Emit through the method for *event_type*; fields and options stand in *given* by name.

    A field that the method wants and that is absent is refused by name, like any other.
    """
    name = "emit_" + re.sub("(?<=[a-z])(?=[A-Z])|(?<=WP)(?=[A-Z])", "_", event_type).lower()
    method = getattr(emitter, name)
    first, *_ = inspect.signature(method).parameters
    rest = dict(given)
    about = rest.pop(first, None)
    if about is None:
        options, payload = _split(rest)
        return emitter.emit_with(event_type, "unknown", payload, options)
    event = method(about, **rest)
    assert isinstance(event, Event)
    return event


def _split(
    given: Mapping[str, Any], *, hold: tuple[str, str] | None = None
) -> tuple[EmitOptions, dict[str, Any]]:
    """Separate the options of emit from the payload's fields."""
    stated = {name: value for name, value in given.items() if name in _OPTIONS}
    payload = {name: value for name, value in given.items() if name not in _OPTIONS}
    return EmitOptions(**stated, hold=hold), payload


def _complete(model: type[Payload], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return *given* as JSON values, in the model's order, its defaults written out."""
    payload: dict[str, Any] = {}
    defaults = _defaults(model)
    for name in (*model.model_fields, *(name for name in given if name not in model.model_fields)):
        value = given.get(name)
        if value is None:
            value = defaults.get(name)
        if value is not None:
            payload[name] = _plain(value)
    return payload


@cache
def _defaults(model: type[Payload]) -> Mapping[str, Any]:
    return {
        name: field.default
        for name, field in model.model_fields.items()
        if field.default is not None and field.default is not PydanticUndefined
    }


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return value if type(value) is str else to_jsonable_python(value)
