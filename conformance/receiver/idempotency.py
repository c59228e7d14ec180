"""IDM: the same id again."""

from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check


@check("SKR-IDM-01")
def same_batch_again_is_duplicate(probe: Probe, case: Case) -> None:
    events = probe.make.events(3)
    probe.accept(events, "three new events")
    probe.post(events, note="the same bytes again").expect_all(
        events,
        {"duplicate"},
        "the receiver forgets which ids it stored: a retry after a lost reply doubles the events",
    )


@check("SKR-IDM-05")
def same_id_twice_in_one_batch(probe: Probe, case: Case) -> None:
    event, other = probe.make.events(2)
    reply = probe.post([event, other, event], note="first and third event are the same")
    reply.expect_results()
    statuses = sorted(str(row.get("status")) for row in reply.results_of(event["event_id"]))
    if statuses != ["duplicate", "success"]:
        raise reply.fail(
            f"two results for {event['event_id']}: one success, one duplicate",
            f"{statuses}: {reply.brief(event)}",
            "ids are looked up before the batch is stored, but not within the batch",
        )
    reply.expect_outcome(other, {"success"})
