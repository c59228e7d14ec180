"""PAY: every core type, every field, every rule."""

from spec_kitty_sync.conformance.builder import EXAMPLES, LANES, Example, JsonObject
from spec_kitty_sync.conformance.edits import (
    Edit,
    conditional_rules,
    done_payload,
    empty_texts,
    kind_of,
    missing_fields,
    nullable_fields,
    wrong_values,
)
from spec_kitty_sync.conformance.negatives import Parent, refuse_each
from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check

_CASES = tuple(Case(found.name, {"example": found}) for found in EXAMPLES)
_TRANSITION = "WPStatusChanged.status_transition"


def _with_kinds(*kinds: str) -> tuple[Case, ...]:
    return tuple(case for case in _CASES if _of_kinds(case["example"], *kinds))


def _of_kinds(found: Example, *kinds: str) -> list[Edit]:
    return [edit for edit in wrong_values(found) if kind_of(edit.names) in kinds]


def _maximal(probe: Probe, name: str) -> Parent:
    return lambda: probe.make.event(name, maximal=True)


@check("SKR-PAY-01", *_CASES)
def minimal_event_is_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event(case.name)
    reply = probe.post([event], note=f"{case.name}, required fields only")
    probe.taken(reply, [event], f"{case.name} is not implemented, or asks for an optional field")


@check("SKR-PAY-02", *_CASES)
def maximal_event_is_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event(case.name, maximal=True)
    reply = probe.post([event], note=f"{case.name} with every optional field")
    probe.taken(reply, [event], f"{case.name} refuses a field that the contract allows")


@check("SKR-PAY-03", *_CASES)
def missing_payload_field_is_rejected(probe: Probe, case: Case) -> None:
    found: Example = case["example"]
    refuse_each(probe, lambda: probe.make.event(case.name), missing_fields(found))


@check("SKR-PAY-04")
def all_lanes_in_both_positions(probe: Probe, case: Case) -> None:
    events = []
    for before in LANES:
        for after in LANES:
            event = probe.make.event(_TRANSITION)
            event["payload"] = {**done_payload(), "from_lane": before, "to_lane": after}
            events.append(event)
    reply = probe.post(events, note="all 49 pairs of lanes")
    for event in events:
        move = f"{event['payload']['from_lane']} → {event['payload']['to_lane']}"
        probe.taken(reply, [event], f"the move {move} cannot be delivered")


@check("SKR-PAY-05", *_with_kinds("lane"))
def unknown_lane_is_rejected(probe: Probe, case: Case) -> None:
    refuse_each(probe, _maximal(probe, case.name), _of_kinds(case["example"], "lane"))


@check("SKR-PAY-06", *_with_kinds("wp", "number3"))
def patterns_are_anchored(probe: Probe, case: Case) -> None:
    refuse_each(probe, _maximal(probe, case.name), _of_kinds(case["example"], "wp", "number3"))


@check("SKR-PAY-07", *_with_kinds("enum"))
def word_lists_are_closed(probe: Probe, case: Case) -> None:
    refuse_each(probe, _maximal(probe, case.name), _of_kinds(case["example"], "enum"))


@check("SKR-PAY-08", *_CASES)
def empty_text_is_rejected(probe: Probe, case: Case) -> None:
    refuse_each(probe, _maximal(probe, case.name), empty_texts(case["example"]))


@check("SKR-PAY-09", *_with_kinds("wps"))
def lists_are_checked_item_by_item(probe: Probe, case: Case) -> None:
    refuse_each(probe, _maximal(probe, case.name), _of_kinds(case["example"], "wps"))


@check("SKR-PAY-12", *_CASES)
def wrong_types_are_rejected(probe: Probe, case: Case) -> None:
    kinds = ("text", "count", "positive", "moment", "flag", "evidence")
    refuse_each(probe, _maximal(probe, case.name), _of_kinds(case["example"], *kinds))


@check("SKR-PAY-13", *(Case(edit.name, {"edit": edit}) for _, edit in conditional_rules()))
def done_needs_evidence_and_force_a_reason(probe: Probe, case: Case) -> None:
    def parent() -> JsonObject:
        return probe.make.event(_TRANSITION, payload=done_payload())

    refuse_each(probe, parent, [case["edit"]])


@check("SKR-PAY-14", *_CASES)
def extra_payload_keys_are_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event(case.name)
    event["payload"]["x_tomorrow"] = {"nested": [1, "two", None]}
    event["payload"]["policy_metadata"] = {"level": 3}
    reply = probe.post([event], note="two payload keys that the contract does not know")
    probe.taken(reply, [event], "what the next producer adds is refused")


@check("SKR-PAY-15", Case("from_lane"), Case("to_lane"))
def alias_is_rejected(probe: Probe, case: Case) -> None:
    edit = Edit("doing", f"payload.{case.name}", "doing")
    refuse_each(probe, lambda: probe.make.event(_TRANSITION), [edit])


@check(
    "SKR-PAY-16",
    Case("planned-for_review", {"lanes": ("planned", "for_review")}),
    Case("canceled-claimed", {"lanes": ("canceled", "claimed")}),
    Case("claimed-for_review", {"lanes": ("claimed", "for_review")}),
    Case("claimed-claimed", {"lanes": ("claimed", "claimed")}),
    Case("planned-in_progress", {"lanes": ("planned", "in_progress")}),
)
def illegal_moves_are_history(probe: Probe, case: Case) -> None:
    before, after = case["lanes"]
    event = probe.make.event(_TRANSITION)
    event["payload"].update(from_lane=before, to_lane=after)
    reply = probe.post([event], note=f"{before} → {after}, without force")
    probe.taken(reply, [event], "a move that the matrix lacks cannot be delivered")


@check("SKR-PAY-17", *(case for case in _CASES if nullable_fields(case["example"])))
def optional_payload_field_may_be_null(probe: Probe, case: Case) -> None:
    names = nullable_fields(case["example"])
    events = []
    for name in names:
        events.append(probe.make.event(case.name))
        events[-1]["payload"][name] = None
    reply = probe.post(events, note=f"null in turn: {', '.join(names)}")
    for name, event in zip(names, events, strict=True):
        probe.taken(reply, [event], f"payload.{name} = null is refused, absent is not")


@check("SKR-PAY-18", Case("status_transition"), Case("sync_status"))
def mission_slug_stands_for_feature_slug(probe: Probe, case: Case) -> None:
    event = probe.make.event(f"WPStatusChanged.{case.name}")
    event["payload"].pop("feature_slug", None)
    event["payload"]["mission_slug"] = "001-kit"
    reply = probe.post([event], note="mission_slug, and no feature_slug")
    probe.taken(reply, [event], "producers that write mission_slug alone are locked out")
