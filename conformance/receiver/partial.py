"""PAR: a bad event among good ones."""

from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.probe import REFUSED, Probe
from spec_kitty_sync.conformance.suite import Case, check

_PAYS = "a good event pays for a bad one that travels beside it"


def _break(event: JsonObject) -> JsonObject:
    del event["payload"]["entry_content"]
    return event


@check("SKR-PAR-01")
def bad_event_spoils_no_other(probe: Probe, case: Case) -> None:
    first, bad, last = probe.make.events(3)
    _break(bad)
    reply = probe.post([first, bad, last], note="good, bad, good")
    probe.taken(reply, [first, last], _PAYS)
    probe.refused(reply, bad, "the bad event was not told apart")


@check("SKR-PAR-02", Case("first", {"at": 0}), Case("middle", {"at": 2}), Case("last", {"at": 4}))
def place_of_the_bad_event_does_not_matter(probe: Probe, case: Case) -> None:
    events = probe.make.events(5)
    bad = _break(events[case["at"]])
    good = [event for event in events if event is not bad]
    reply = probe.post(events, note=f"the bad event stands {case.name}")
    probe.refused(reply, bad, "the bad event was not told apart")
    probe.taken(reply, good, "the batch ends at its first bad event")


_ROLLED_BACK = "success was said for events that are not there: rolled back with the bad one?"


@check("SKR-PAR-07")
def good_events_beside_a_bad_one_are_stored(probe: Probe, case: Case) -> None:
    first, bad, last = probe.make.events(3)
    reply = probe.post([first, _break(bad), last], note="good, bad, good")
    probe.taken(reply, [first, last], _PAYS)
    reply = probe.post([first, last], note="the good ones again")
    probe.repeated(reply, [first, last], _ROLLED_BACK)


@check("SKR-PAR-05")
def many_bad_events_among_many(probe: Probe, case: Case) -> None:
    events = probe.make.events(probe.around.max_events)
    bad = [_break(event) for event in events[3::40]]
    bad_ids = {event["event_id"] for event in bad}
    reply = probe.post(events, patient=True, note=f"{len(bad)} bad events among {len(events)}")
    rows = reply.expect_results("many bad events make the batch fail")
    rejected = {row.get("event_id") for row in rows if row.get("status") in REFUSED}
    if rejected != bad_ids:
        raise reply.fail(
            f"exactly the {len(bad)} bad events rejected",
            f"{len(rejected)} rejected, {len(bad_ids - rejected)} bad ones taken,"
            f" {len(rejected - bad_ids)} good ones refused",
        )
    good = [event for event in events if event["event_id"] not in bad_ids]
    reply = probe.post(good, patient=True, note="the good ones again")
    probe.repeated(reply, good, "part of a long batch was called a success, and is not stored")
