"""BAT: one result per event, bound by its id."""

import random

from spec_kitty_sync.conformance.builder import EXAMPLES, JsonObject, batch_bytes
from spec_kitty_sync.conformance.meaning import BODY_BLURRED
from spec_kitty_sync.conformance.probe import REFUSED, Probe
from spec_kitty_sync.conformance.reply import STATUSES, CheckFailed, Reply, reason_of
from spec_kitty_sync.conformance.suite import Case, check


def _bad(probe: Probe) -> JsonObject:
    event = probe.make.event("HistoryAdded")
    del event["payload"]["entry_content"]
    return event


def _mixed(probe: Probe) -> tuple[Reply, list[tuple[JsonObject, str]]]:
    """Post six known, new and bad events in shuffled order; return what each should get."""
    known = probe.make.events(2)
    probe.control(known, "two events, to be repeated")
    batch = [(event, "duplicate") for event in known]
    batch += [(event, "success") for event in probe.make.events(2)]
    batch += [(_bad(probe), "rejected") for _ in range(2)]
    random.Random(probe.around.namespace.seed).shuffle(batch)
    reply = probe.post([event for event, _ in batch], note="known, new and bad events, shuffled")
    return reply, batch


@check(
    "SKR-BAT-01", Case("one", {"size": 1}), Case("three", {"size": 3}), Case("sixty", {"size": 60})
)
def one_result_per_event(probe: Probe, case: Case) -> None:
    events = probe.make.events(case["size"])
    reply = probe.post(events)
    got = [row.get("event_id") for row in reply.expect_results()]
    sent = [event["event_id"] for event in events]
    if sorted(map(str, got)) != sorted(sent):
        missing, surplus = set(sent) - set(map(str, got)), set(map(str, got)) - set(sent)
        raise reply.fail(
            f"{len(sent)} results, one for each event_id",
            f"{len(got)} results{_places(sent, missing)}{_surplus(surplus)}",
            "an event without a result is sent again for ever"
            if missing
            else "a result under a foreign id tells the sender nothing",
        )


def _places(sent: list[str], missing: set[str]) -> str:
    """Say which of the events sent have no result, by their place: first, last, all."""
    if not missing:
        return ""
    places = [str(place) for place, one in enumerate(sent, 1) if one in missing]
    if len(places) == len(sent):
        return f", none for the {len(sent)} sent"
    shown = ", ".join(places[:5]) + (" …" if len(places) > 5 else "")
    return f", none for number {shown} of {len(sent)}"


def _surplus(ids: set[str]) -> str:
    return f", {len(ids)} for ids that were not sent ({', '.join(sorted(ids)[:3])})" if ids else ""


@check("SKR-BAT-02")
def ids_are_echoed_exactly(probe: Probe, case: Case) -> None:
    events = probe.make.events(3)
    reply = probe.post(events)
    got = {row.get("event_id") for row in reply.expect_results()}
    for event in events:
        if event["event_id"] not in got:
            raise reply.fail(
                f"a result with event_id {event['event_id']!r}",
                f"results for {sorted(map(str, got))}",
                "ids come back in other case: the sender never finds its event"
                if event["event_id"].lower() in {str(one).lower() for one in got}
                else "ids are changed on the way: the sender never finds its event",
                about=event["event_id"],
            )


@check("SKR-BAT-03")
def results_belong_to_their_ids(probe: Probe, case: Case) -> None:
    reply, batch = _mixed(probe)
    try:
        for event, wanted in batch:
            _is_answered(probe, reply, event, wanted)
    except CheckFailed as failed:
        table = [f"{wanted} → {reply.status_of(event['event_id'])}" for event, wanted in batch]
        raise failed.beside(f"wanted → got, in the order sent: {', '.join(table)}") from None


def _is_answered(probe: Probe, reply: Reply, event: JsonObject, wanted: str) -> None:
    means = f"the result of another event stands under this id (it should be {wanted})"
    if wanted == "duplicate":
        probe.repeated(reply, [event], {"success": means, "rejected": means})
    elif wanted == "success":
        probe.taken(reply, [event], {"": means, "duplicate": means})
    else:
        probe.refused(reply, event, {"": means, "duplicate": means})


@check("SKR-BAT-04", Case("new"), Case("again"), Case("bad"))
def statuses_are_words_of_the_contract(probe: Probe, case: Case) -> None:
    event = _bad(probe) if case.name == "bad" else probe.make.event()
    reply = probe.post([event], note=f"an event that is {case.name}")
    if case.name == "again":
        reply = probe.post([event], note="the same event again")
    for row in reply.results:
        if row.get("status") not in STATUSES:
            raise reply.fail(
                f"a status among {', '.join(sorted(STATUSES))}",
                f"status {row.get('status')!r}",
                about=row.get("event_id"),
            )


@check("SKR-BAT-05")
def rejection_has_a_reason(probe: Probe, case: Case) -> None:
    event = _bad(probe)
    reply = probe.post([event], note="payload.entry_content is missing")
    row = probe.refused(reply, event, "an incomplete payload is taken for a good one")
    if not reason_of(row):
        raise reply.fail(
            'a non-empty "error" or "error_message" in the result', about=event["event_id"]
        )


@check("SKR-BAT-06")
def success_has_no_error(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post([event])
    row = probe.taken(reply, [event]).results_of(event["event_id"])[0]
    if reason_of(row):
        raise reply.fail("no error text beside success", f"error {reason_of(row)!r}")


@check("SKR-BAT-07")
def mixed_types_share_a_batch(probe: Probe, case: Case) -> None:
    events = [probe.make.event(found.name) for found in EXAMPLES]
    reply = probe.post(events, note="one event of each type and shape")
    probe.taken(reply, events, "a batch with more than one event type is not taken whole")


@check("SKR-BAT-08")
def empty_batch_is_answered(probe: Probe, case: Case) -> None:
    reply = probe.post([], note="no events")
    means = {"5xx": "an empty list is answered as a fault of the server's own", "": BODY_BLURRED}
    reply.expect_status(200, 400, means=means)
    if reply.status == 200 and reply.expect_results():
        raise reply.fail("no results for no events")


@check("SKR-BAT-09")
def extra_top_level_keys_are_ignored(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    extra = b'{"client":{"name":"sk","version":"9.9"},"trace":null,"events"'
    body = batch_bytes([event]).replace(b'{"events"', extra, 1)
    reply = probe.post(body=body, note="keys beside events")
    probe.taken(reply, [event], "a key beside `events` makes it refuse the batch")


@check(
    "SKR-BAT-10",
    Case("null", {"element": None}),
    Case("number", {"element": 1}),
    Case("text", {"element": "event"}),
    Case("list", {"element": []}),
    Case("no-id", {"element": {"event_type": "HistoryAdded"}}),
    Case("id-number", {"element": {"event_id": 7}}),
    Case("id-null", {"element": {"event_id": None}}),
)
def element_without_id_is_answered(probe: Probe, case: Case) -> None:
    good = probe.make.event()
    reply = probe.post([case["element"], good], note=f"{case.name}, then a valid event")
    reply.expect_status(200, 400, 422, means="one strange element takes the batch down")
    if reply.status != 200:
        reply.expect_error(400, 422)
        return
    if len(reply.expect_results()) != 2:
        raise reply.fail(
            "two results (one with event_id null), or 400",
            f"{len(reply.results)} results for 2 elements",
            "the element is lost without a word",
        )
    odd = [row for row in reply.results if row.get("event_id") != good["event_id"]]
    if not odd or odd[0].get("status") not in REFUSED:
        raise reply.fail("the strange element is rejected")


@check("SKR-BAT-11")
def projects_share_a_batch(probe: Probe, case: Case) -> None:
    events = probe.make.events(3)
    for number, event in enumerate(events):
        event["project_uuid"] = probe.around.namespace.project_uuid(number + 1)
        event["project_slug"] = f"{event['project_slug']}-{number + 1}"
    reply = probe.post(events, note="three projects in one batch")
    probe.taken(reply, events, "only the first project of a batch is let in")
