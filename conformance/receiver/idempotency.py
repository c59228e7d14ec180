"""IDM: the same id again."""

import copy
import json
import time

from spec_kitty_sync.conformance.builder import JsonObject, example
from spec_kitty_sync.conformance.lost_reply import lose_the_reply
from spec_kitty_sync.conformance.probe import REFUSED, TAKEN, Probe
from spec_kitty_sync.conformance.suite import Case, check

_DOUBLES = "the receiver forgets which ids it stored: a retry after a lost reply doubles the events"


# Whichever field a store adds to event_id to make its key: another value of it is no other event.
_OTHER_FIELDS: dict[str, JsonObject] = {
    "payload": {"payload": example("HistoryAdded").required | {"entry_content": "Something else."}},
    "event_type": {
        "event_type": "ErrorLogged",
        "payload": {"error_type": "runtime", "error_message": "exit status 2"},
    },
    "aggregate_id": {"aggregate_id": "WP02"},
    "aggregate_type": {"aggregate_type": "Feature"},
    "timestamp": {"timestamp": "2026-02-01T10:00:00Z"},
    "node_id": {"node_id": "ffffffffffff"},
    "lamport_clock": {"lamport_clock": 4711},
    "causation_id": {"causation_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
    "correlation_id": {"correlation_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
    "project_slug": {"project_slug": "sk-conformance-other"},
    "team_slug": {"team_slug": "local"},
    "schema_version": {"schema_version": "1.0.1"},
    "data_tier": {"data_tier": 2},
    "unknown-field": {"build_id": "b-2"},
}


def _other_content(probe: Probe, event: JsonObject, field: str = "payload") -> JsonObject:
    if field == "project_uuid":
        return {**event, field: probe.around.namespace.project_uuid(1)}
    return {**event, **copy.deepcopy(_OTHER_FIELDS[field])}


@check("SKR-IDM-01")
def same_batch_again_is_duplicate(probe: Probe, case: Case) -> None:
    events = probe.make.events(3)
    probe.control(events, "three new events")
    probe.repeated(probe.post(events, note="the same bytes again"), events, _DOUBLES)


@check("SKR-IDM-02")
def duplicate_in_a_larger_batch(probe: Probe, case: Case) -> None:
    old, *new = probe.make.events(5)
    probe.control([old], "the event to be repeated")
    reply = probe.post([*new[:2], old, *new[2:]], note="the old event, third among four new ones")
    probe.repeated(reply, [old], "an event that is stored looks new in a larger batch")
    means = {"duplicate": "one known event makes its whole batch look known"}
    probe.taken(reply, new, {**means, "": "new events pay for a known one beside them"})


@check("SKR-IDM-03", *(Case(name) for name in (*_OTHER_FIELDS, "project_uuid")))
def other_content_is_never_success(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded")
    probe.control([event], "the first content")
    other = _other_content(probe, event, case.name)
    reply = probe.post([other], note=f"the same id, other content ({case.name})")
    reply.expect_outcome(
        event,
        {"rejected", "duplicate", "failed_permanent"},
        {
            "": f"the key of the store is more than event_id: another {case.name} is another event",
            "4xx": "one conflict makes the whole batch fail: the good events beside it wait",
            "5xx": "a conflict takes the request down: the sender sends it again for ever",
        },
    )
    reply = probe.post([event], note="the first content again")
    means = "the second content took the place of the first"
    probe.repeated(reply, [event], {"success": means, "rejected": means})


@check("SKR-IDM-04")
def first_content_survives(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded")
    probe.control([event], "the first content")
    probe.post([_other_content(probe, event)], note="the same id, other content")
    stored = probe.read_back(event["event_id"])
    if stored.get("payload") != event["payload"]:
        raise probe.last.fail(
            "the payload that was sent first",
            f"payload {stored.get('payload')!r}",
            "whoever knows an id can rewrite history",
        )


@check("SKR-IDM-05")
def same_id_twice_in_one_batch(probe: Probe, case: Case) -> None:
    event, other = probe.make.events(2)
    reply = probe.post([event, other, event], note="first and third event are the same")
    reply.expect_results()
    found = sorted(str(row.get("status")) for row in reply.results_of(event["event_id"]))
    still_open = len(found) == 2 and set(found) <= {"duplicate", "pending", "queued"}
    if found != ["duplicate", "success"] and not (still_open and found != ["duplicate"] * 2):
        raise reply.fail(
            f"two results for {event['event_id']}: one success, one duplicate",
            f"{found}: {reply.brief(event)}",
            _twice_in_a_batch(found),
            about=event["event_id"],
        )
    probe.taken(reply, [other], "the event beside them pays for it")


def _twice_in_a_batch(found: list[str]) -> str:
    """Say what these statuses of one event sent twice in a batch mean."""
    if len(found) != 2:
        return "results are kept by id: who counts them misses one for each repeated id"
    if "success" not in found:
        return "the first of them is called known or bad: the sender never learns that it is stored"
    if found == ["success", "success"]:
        return "ids are looked up before the batch is stored, but not within the batch"
    return "the second of them is answered as an error, though it is stored"


@check("SKR-IDM-06", Case("alone"), Case("among-others"), Case("same-batch"))
def rejected_id_is_not_burnt(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded")
    broken = {**event, "payload": {"wp_id": "WP01", "entry_type": "note"}}
    if case.name == "same-batch":
        _corrected_in_the_same_batch(probe, broken, event)
        return
    beside = probe.make.events(2) if case.name == "among-others" else []
    reply = probe.post([*beside, broken], note="entry_content is missing")
    probe.refused(reply, broken, "an incomplete payload is taken for a good one")
    reply = probe.post([event], note="the same id, corrected")
    means = "the id was stored before the event was checked"
    probe.taken(reply, [event], {"duplicate": means, "": means})


def _corrected_in_the_same_batch(probe: Probe, broken: JsonObject, event: JsonObject) -> None:
    reply = probe.post([broken, event], note="entry_content is missing, then the same id corrected")
    reply.expect_results()
    found = [str(row.get("status")) for row in reply.results_of(event["event_id"])]
    if len(found) != 2 or not set(found) & REFUSED or not set(found) & TAKEN:
        raise reply.fail(
            f"two results for {event['event_id']}: one refused, one success",
            f"{found}: {reply.brief(event)}",
            _corrected_after(found),
            about=event["event_id"],
        )
    reply = probe.post([event], note="the corrected one again")
    probe.repeated(reply, [event], "the corrected event was called a success, and is not stored")


def _corrected_after(found: list[str]) -> str:
    """Say what these statuses of a bad event and its correction in one batch mean."""
    if len(found) != 2:
        return "results are kept by id: what became of one of the two is not told"
    if not set(found) & REFUSED:
        return "an incomplete payload is taken for a good one"
    if "duplicate" in found:
        return "an id is noted before its event is checked: what was never stored is called known"
    return "a corrected event pays for the bad one with its id"


@check("SKR-IDM-07", Case("before-the-answer"), Case("within-the-answer"), Case("sent-twice"))
def lost_answer_then_the_same_batch(probe: Probe, case: Case) -> None:
    events = probe.make.events(5)
    acknowledged = lose_the_reply(probe, events, how=case.name)
    reply = probe.post(events, note="the same batch after the answer was lost")
    known = {"duplicate", "pending", "queued"}
    allowed = known if acknowledged else TAKEN | known
    reply.expect_all(
        events,
        allowed,
        "the receiver had answered for these events, but does not know them"
        if acknowledged
        else "after a broken connection the events can be delivered no more",
    )
    reply = probe.post(events, note="and once more")
    probe.repeated(reply, events, _DOUBLES)


@check("SKR-IDM-08")
def store_holds_each_id_once(probe: Probe, case: Case) -> None:
    events = probe.make.events(3)
    probe.control(events, "three new events")
    probe.post(events, note="again")
    probe.post(list(reversed(events)), note="again, in the other order")
    stored = probe.stored_ids(events[0]["project_uuid"])
    for event in events:
        if stored.count(event["event_id"]) != 1:
            raise probe.last.fail(
                f"{event['event_id']} once in the store",
                f"{stored.count(event['event_id'])} times",
            )


@check("SKR-IDM-09")
def duplicate_survives_a_restart(probe: Probe, case: Case) -> None:
    probe.need_it_alone()
    events = probe.make.events(3)
    probe.control(events, "three new events")
    probe.call_hook("restart-hook")
    reply = probe.post(events, note="the same batch after the restart")
    probe.repeated(reply, events, "ids are remembered in memory only")


@check("SKR-IDM-11")
def pending_settles(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post([event])
    reply.expect_outcome(event, TAKEN)
    settle_s = 2 * probe.around.deadline_s
    until = time.monotonic() + settle_s
    while reply.status_of(event["event_id"]) in {"pending", "queued"}:
        if time.monotonic() > until:
            raise reply.fail(
                f"success or duplicate within {settle_s:g} s",
                about=event["event_id"],
                means="an accepted event never becomes a delivered one",
            )
        time.sleep(0.05)
        reply = probe.post([event], note="asked again")
    reply.expect_outcome(event, {"success", "duplicate"})


@check("SKR-IDM-12", Case("last"), Case("middle"), Case("first-random"))
def neighbours_are_distinct(probe: Probe, case: Case) -> None:
    at = {"last": 25, "middle": 17, "first-random": 10}[case.name]
    first, second = probe.make.event(), probe.make.event()
    text = first["event_id"]
    other = "1" if text[at] == "0" else "0"
    second["event_id"] = text[:at] + other + text[at + 1 :]
    probe.control([first], "the first of two neighbours")
    reply = probe.post([second], note=f"the id differs in character {at + 1} only")
    means = "ids are cut or folded before they are compared"
    probe.taken(reply, [second], {"duplicate": means, "": means})


@check("SKR-IDM-13")
def conflict_is_called_by_its_name(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded")
    probe.control([event], "the first content")
    reply = probe.post([_other_content(probe, event)], note="the same id, other content")
    means = {"duplicate": "the second content is called known", "success": "both are stored"}
    row = reply.expect_outcome(event, {"rejected"}, means)
    if row.get("error_category") != "id_conflict":
        raise reply.fail(
            'error_category "id_conflict"',
            f"error_category {row.get('error_category')!r}",
            about=event["event_id"],
        )


@check("SKR-IDM-14", Case("key-order"), Case("spaces"), Case("escapes"))
def same_content_in_other_clothes(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded")
    event["payload"]["entry_content"] = "Größe/Maß"
    probe.control([event], "the first form")
    turned = dict(reversed(event.items())) if case.name == "key-order" else event
    text = json.dumps(
        {"events": [turned]},
        ensure_ascii=case.name == "escapes",
        indent=2 if case.name == "spaces" else None,
    )
    reply = probe.post(body=text.encode(), note=f"the same content, other {case.name}")
    means = "content is compared byte by byte, not as JSON"
    probe.repeated(reply, [event], {"success": means, "rejected": means})
