"""CON: many at once; judged by the history of answers, not by timing."""

from spec_kitty_sync.conformance.at_once import post_at_once
from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.history import expect_one_success_each, expect_own_results
from spec_kitty_sync.conformance.lost_reply import hold_a_slow_request
from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check


@check("SKR-CON-01", Case("one-event", {"size": 1}), Case("small-batch", {"size": 5}))
def racing_posts_have_one_success(probe: Probe, case: Case) -> None:
    for _ in range(4):
        events = probe.make.events(case["size"])
        replies = post_at_once(probe, [events] * 16, note="16 posts of the same bytes at once")
        expect_one_success_each(events, replies)


@check("SKR-CON-02")
def overlapping_batches_succeed_once(probe: Probe, case: Case) -> None:
    for _ in range(4):
        first, middle, last = (probe.make.events(10) for _ in range(3))
        batches = [first + middle, middle + last, last + first, middle + first] * 2
        replies = post_at_once(probe, batches, note="overlapping batches at once")
        expect_one_success_each([*first, *middle, *last], replies)


@check("SKR-CON-03")
def opposite_orders_do_not_lock_up(probe: Probe, case: Case) -> None:
    for _ in range(10):
        events = probe.make.events(20)
        batches = [events, list(reversed(events))] * 2
        replies = post_at_once(probe, batches, note="one batch, forwards and backwards, at once")
        expect_one_success_each(events, replies)


def _bad(event: JsonObject) -> JsonObject:
    event["payload"].pop("entry_content")
    return event


@check("SKR-CON-04")
def interleaved_answers_stay_apart(probe: Probe, case: Case) -> None:
    for _ in range(3):
        batches = [probe.make.events(6) for _ in range(12)]
        for batch in batches[::2]:
            for event in batch[::2]:
                _bad(event)
        replies = post_at_once(probe, batches, note="good and bad batches at once")
        for batch, reply in zip(batches, replies, strict=True):
            expect_own_results(batch, reply)


@check("SKR-CON-05")
def what_is_acknowledged_is_there(probe: Probe, case: Case) -> None:
    acknowledged: list[JsonObject] = []
    for _ in range(25):
        batches = [probe.make.events(5) for _ in range(32)]
        replies = post_at_once(probe, batches, note="32 writers")
        for batch, reply in zip(batches, replies, strict=True):
            done = {row.get("event_id") for row in reply.results if row.get("status") == "success"}
            acknowledged += [event for event in batch if event["event_id"] in done]
        probe.exchanges.clear()
    for at in range(0, len(acknowledged), 500):
        part = acknowledged[at : at + 500]
        reply = probe.post(part, patient=True, note="what was acknowledged, again")
        probe.repeated(reply, part, "acknowledged under load, but not stored")


@check("SKR-CON-06")
def slow_client_does_not_block_others(probe: Probe, case: Case) -> None:
    probe.control(probe.make.events(1), "the same post while nobody else is there")
    with hold_a_slow_request(probe):
        for _ in range(5):  # the first may overtake the slow one on its way in
            event = probe.make.event()
            reply = probe.post([event], note="while another client has sent half of its body")
            probe.taken(reply, [event], "one slow client holds up everyone else")
