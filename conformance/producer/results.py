"""What a producer makes of results: which events count as delivered, which are sent again."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from spec_kitty_sync.conformance import stub
from spec_kitty_sync.conformance.producer_trial import ProducerTrial
from spec_kitty_sync.conformance.stub import Answer, StubReply, StubRequest, StubServer
from spec_kitty_sync.conformance.suite import Case, check, rows


@check("SKP-RES-01", *rows("success", "duplicate"))
def taken_is_delivered(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=3)
    if case.name == "duplicate":
        for one in ids:
            t.stub.know(one)
    ran = t.drain()
    t.expect_exit(ran, {0}, "everything was delivered")
    t.expect_delivered(ids)
    t.expect_retained(3)
    t.expect_count("undelivered", 0, "all were taken")


@check("SKP-RES-02", *rows("pending", "queued"))
def pending_is_no_error(t: ProducerTrial, case: Case) -> None:
    t.prepare(events=3)
    ran = t.drain(stub.each(stub.result(case.name)))
    t.expect_exit(ran, {0}, "pending is in flight, not an error")
    t.expect_count("pending", 3, "accepted, not settled")
    t.expect_count("delivered", 0, "nothing is settled")
    again = t.sent_by_next_drain()
    t.expect(
        not again,
        expected="a pending event is asked for again after 30 s, not at once",
        got=lambda: f"{len(again)} were sent again at once",
    )
    if t.has("retry"):
        t.run("retry")
        again = t.sent_by_next_drain()
        t.expect(
            not again,
            expected="`retry` leaves what is pending alone: it is neither parked nor refused",
            got=lambda: f"after `retry` {len(again)} were sent again",
        )
    t.expect_retained(3)


_HALF_MINUTE_S, _HOUR_S = 30, 3600
_MORE_S = 5  # so that rounding, or reading the clock a little later, does not matter


@check("SKP-RES-28", *rows("half-a-minute", "doubling", "an-hour-at-most"))
def pending_is_asked_again(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    pending = stub.each(stub.result("pending"))
    t.drain(then=pending)
    if case.name == "an-hour-at-most":
        for hour in range(1, 10):
            at = time.time() + hour * (_HOUR_S + _MORE_S)
            expect_asked(t, ids, t.sent_by_next_drain(pending, at=at), f"for the {hour}th time")
        return
    first = time.time() + _HALF_MINUTE_S + _MORE_S
    if case.name == "half-a-minute":
        expect_asked(t, ids, t.sent_by_next_drain(at=first), "30 s later")
        t.expect_delivered(ids)
        return
    expect_asked(t, ids, t.sent_by_next_drain(pending, at=first), "30 s later")
    second = time.time() + _HALF_MINUTE_S + _MORE_S + 2 * _HALF_MINUTE_S + _MORE_S
    early = t.sent_by_next_drain(pending, at=first + _HALF_MINUTE_S + _MORE_S)
    t.expect(
        not early,
        expected="what is pending for the second time is asked for again after 60 s",
        got=lambda: f"{len(early)} were sent again after {_HALF_MINUTE_S + _MORE_S} s",
    )
    expect_asked(t, ids, t.sent_by_next_drain(at=second), "60 s after the second answer")


@check("SKP-RES-29")
def pending_is_asked_again_in_time(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    t.drain(stub.each(stub.result("pending")))
    time.sleep(_HALF_MINUTE_S + 1)
    expect_asked(t, ids, t.sent_by_next_drain(), "30 s later")


def expect_asked(t: ProducerTrial, ids: list[str], again: list[str], when: str) -> None:
    """Ask that exactly the pending *ids* were sent *again*."""
    t.expect(
        sorted(again) == sorted(ids),
        expected=f"{len(ids)} pending events are asked for again {when}",
        got=lambda: f"{len(again)} were sent",
        about=ids[0],
    )


@check("SKP-RES-03")
def rejected_is_tried_five_times(t: ProducerTrial, case: Case) -> None:
    bad = t.prepare(events=2)[0]
    reason = "payload.wp_id: lane unheard of"
    answer = stub.per_event({bad: stub.rejected(reason, "schema_mismatch")})
    ran = t.drain(then=answer)
    t.expect_exit(ran, {1}, "something was rejected")
    rounds = 1
    while rounds < 8 and bad in t.sent_by_next_drain(answer):
        rounds += 1
    t.expect(
        rounds == 5,
        expected="a rejected event is sent five times in all, then only on request",
        got=f"it was sent {rounds} times" + (" and more" if rounds == 8 else ""),
        about=bad,
    )
    t.expect_count("dead_letter", 1, "five rejections make a dead letter")
    t.expect_retained(2)
    if t.has("retry"):
        t.expect_kept([bad], "an explicit retry puts a dead letter back")


@check("SKP-RES-23")
def reason_is_shown(t: ProducerTrial, case: Case) -> None:
    bad, _ = t.prepare(events=2)
    reason = "payload.title: the moon is in the wrong phase"
    ran = t.drain(stub.per_event({bad: stub.rejected(reason)}))
    shown = ran.text + (t.run("status").text if t.has("status") else "")
    t.expect(
        "wrong phase" in shown,
        expected="the operator is shown the receiver's reason",
        got=lambda: f"nothing of it in {shown[:300]}",
        about=bad,
    )


@check("SKP-RES-04", *rows("failed_permanent", "413-single"))
def terminal_is_never_sent_again(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    bad = ids[0]
    if case.name == "failed_permanent":
        answer: Answer = stub.per_event({bad: stub.result("failed_permanent", "never")})
    else:
        answer = stub.poison(bad, stub.refuse(413, "too large"))
    ran = t.drain(then=answer)
    t.expect_exit(ran, {1}, "an event was refused for good")
    t.expect_count("terminal_failed", 1, "refused for good")
    again = t.sent_by_next_drain()
    t.expect(
        not again,
        expected="no drain sends either event again by itself",
        got=lambda: f"sent again: {', '.join(again)}",
        about=bad,
    )
    t.expect_retained(2)


@check("SKP-RES-05")
def missing_result_is_not_delivered(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=3)
    t.drain(stub.edited(lambda results: [results[0], results[2]]))
    t.expect_kept([ids[1]], "no result came for it")
    t.expect_delivered([ids[0], ids[2]])


@check("SKP-RES-06", *rows("accepted", "SUCCESS", "empty", "number"))
def unknown_status_is_not_delivered(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    status = {"number": 1, "empty": ""}.get(case.name, case.name)

    def edit(results: list[dict[str, object]]) -> list[dict[str, object]]:
        return [{**results[0], "status": status}, results[1]]

    t.drain(stub.edited(edit))
    t.expect_kept([ids[0]], "the status is none of the contract's")
    t.expect_delivered([ids[1]])


@check("SKP-RES-07")
def results_are_matched_by_id(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=3)
    said = {ids[0]: stub.result("failed_permanent", "never"), ids[2]: stub.result("success")}

    def answer(request: StubRequest, server: StubServer) -> StubReply:
        reply = stub.per_event(said)(request, server)
        results = json.loads(reply.body)["results"][::-1]
        return replace(reply, body=json.dumps({"results": results}).encode())

    t.drain(answer)
    again = t.sent_by_next_drain()
    t.expect(
        not again,
        expected="the first is refused for good and the others delivered, as their ids say",
        got=lambda: f"sent again: {', '.join(again)}",
    )
    t.expect_count("terminal_failed", 1, "one result said failed_permanent")
    if t.has("retry"):
        t.run("retry")
        again = t.sent_by_next_drain()
        t.expect(
            again == [ids[0]],
            expected=f"a retry sends exactly the refused one, {ids[0]}",
            got=lambda: f"it sent {', '.join(again) or 'nothing'}",
            about=ids[0],
        )


@check("SKP-RES-08")
def foreign_results_are_ignored(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=3)
    foreign = {"event_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "status": "rejected", "error": "who?"}
    ran = t.drain(stub.edited(lambda results: [foreign, *results, foreign]))
    t.expect_exit(ran, {0}, "every event that was sent was taken")
    t.expect_delivered(ids)
    t.expect_count("rejected", 0, "the foreign result concerns nobody")


@check("SKP-RES-09", *rows("error", "error_message"))
def reason_under_either_name(t: ProducerTrial, case: Case) -> None:
    t.prepare(events=1)
    words = "payload.actor: unheard of"

    def edit(results: list[dict[str, object]]) -> list[dict[str, object]]:
        event_id = results[0]["event_id"]
        return [{"event_id": event_id, "status": "rejected", case.name: words}]

    ran = t.drain(stub.edited(edit))
    shown = ran.text + (t.run("status").text if t.has("status") else "")
    t.expect(
        "unheard of" in shown,
        expected=f"the reason under `{case.name}` is shown",
        got=lambda: f"nothing of it in {shown[:300]}",
    )


_HTML = b"<!doctype html><title>Free wifi</title><p>Please log in."
_SHAPES = {
    "html": _HTML,
    "truncated": b'{"results":[{"event_id":"01',
    "empty": b"",
    "list": b"[]",
    "null": b"null",
    "no-results": b"{}",
    "results-object": b'{"results":{}}',
    "ok": b'{"ok":true}',
}


@check("SKP-RES-16", *(Case(name, {"body": body}) for name, body in _SHAPES.items()))
def wrong_shape_is_not_delivered(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    ran = t.drain(then=stub.raw(case["body"]))
    t.expect_exit(ran, {1}, "nothing was delivered")
    t.expect_kept(ids, "the answer is no list of results")


@check("SKP-RES-27", *rows("success-first", "success-last"))
def contradicting_results_are_not_delivered(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)

    def edit(results: list[dict[str, object]]) -> list[dict[str, object]]:
        refused = {**results[0], "status": "rejected", "error": "no"}
        return [*results, refused] if case.name == "success-first" else [refused, *results]

    t.drain(stub.edited(edit))
    t.expect_kept([ids[0]], "the answer contradicts itself about it")
    t.expect_delivered([ids[1]])


@check("SKP-RES-21")
def long_answers_are_read(t: ProducerTrial, case: Case) -> None:
    t.need_bulk(1000)
    ids = t.prepare(events=1000)
    t.drain(stub.each(stub.rejected("payload.wp_id: " + "x" * 1200)))
    t.expect(
        len(t.arrived()) == 1,
        expected="an answer of more than 1 MB is read and settles the batch",
        got=f"{len(t.arrived())} posts",
    )
    t.expect_count("rejected", len(ids), "each event has its reason")
