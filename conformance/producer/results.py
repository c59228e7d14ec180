"""What a producer makes of answers: which events count as delivered, which are sent again."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from spec_kitty_sync.conformance import stub
from spec_kitty_sync.conformance.producer_trial import ProducerTrial
from spec_kitty_sync.conformance.stub import Answer, StubReply, StubRequest, StubServer
from spec_kitty_sync.conformance.suite import Case, check, rows


def edited(edit) -> Answer:  # type: ignore[no-untyped-def]
    """Answer as usual, the list of results changed by *edit*."""

    def answer(request: StubRequest, server: StubServer) -> StubReply:
        reply = stub.per_event()(request, server)
        results = edit(json.loads(reply.body)["results"])
        return replace(reply, body=json.dumps({"results": results}).encode())

    return answer


def poison(event_id: str, bad: Answer) -> Answer:
    """Answer *bad* to every batch that holds *event_id*, as usual to the others."""

    def answer(request: StubRequest, server: StubServer) -> StubReply:
        return (bad if event_id in request.ids else stub.per_event())(request, server)

    return answer


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
    t.expect_retained(3)


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
        answer = poison(bad, stub.refuse(413, "too large"))
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
    t.drain(edited(lambda results: [results[0], results[2]]))
    t.expect_kept([ids[1]], "no result came for it")
    t.expect_delivered([ids[0], ids[2]])


@check("SKP-RES-06", *rows("accepted", "SUCCESS", "empty", "number"))
def unknown_status_is_not_delivered(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    status = {"number": 1, "empty": ""}.get(case.name, case.name)

    def edit(results: list[dict[str, object]]) -> list[dict[str, object]]:
        return [{**results[0], "status": status}, results[1]]

    t.drain(edited(edit))
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
    ran = t.drain(edited(lambda results: [foreign, *results, foreign]))
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

    ran = t.drain(edited(edit))
    shown = ran.text + (t.run("status").text if t.has("status") else "")
    t.expect(
        "unheard of" in shown,
        expected=f"the reason under `{case.name}` is shown",
        got=lambda: f"nothing of it in {shown[:300]}",
    )


@check("SKP-RES-10", *rows("list", "json-string"))
def named_culprits_are_isolated(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=10)
    bad = ids[3]
    listed = [{"event_id": bad, "error": "payload.wp_id: bad"}]
    details = listed if case.name == "list" else json.dumps(listed)
    t.drain(then=poison(bad, stub.refuse(400, "invalid batch", details=details)))
    t.expect(
        set(t.stub.stored_ids) == set(ids) - {bad},
        expected="the events that the details don't name are delivered in the same run",
        got=lambda: f"{len(t.stub.stored_ids)} of 9 were",
        about=bad,
    )
    t.expect_count("rejected", 1, "only the named event was refused")
    t.expect_delivered([one for one in ids if one != bad])


@check("SKP-RES-11", *rows("first", "middle", "last"))
def unnamed_culprit_is_found(t: ProducerTrial, case: Case) -> None:
    count = 40 if t.has("bulk") else 10
    ids = t.prepare(events=count)
    bad = {"first": ids[0], "middle": ids[count // 2 - 1], "last": ids[-1]}[case.name]
    t.drain(then=poison(bad, stub.refuse(400, "something is wrong", details="see the log")))
    t.expect(
        set(t.stub.stored_ids) == set(ids) - {bad},
        expected="every other event is delivered in the same run",
        got=lambda: f"{len(t.stub.stored_ids)} of {count - 1} were",
        about=bad,
    )
    # The first and the last alone, then two for each halving.
    posts, allowed = len(t.arrived()), 2 * math.ceil(math.log2(count)) + 3
    t.expect(
        posts <= allowed,
        expected=f"one culprit among {count} is found in at most {allowed} posts",
        got=f"{posts} posts",
    )
    t.expect_count("rejected", 1, "the culprit alone is refused")


@check("SKP-RES-20")
def refused_request_blames_nobody(t: ProducerTrial, case: Case) -> None:
    t.need_bulk(40)
    ids = t.prepare(events=40)
    ran = t.drain(then=stub.refuse(400, "no such API", details="unsupported media"))
    t.expect_exit(ran, {1}, "nothing was sent")
    t.expect(
        len(t.arrived()) <= 6,
        expected="a request that is always refused ends the drain after a handful of posts",
        got=f"{len(t.arrived())} posts",
    )
    t.expect_count("rejected", 0, "the request is at fault, not an event")
    t.expect_kept(ids, "the request is at fault")


@check("SKP-RES-12")
def expired_token_is_refreshed_once(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2, login="team-a")
    before = len(t.stub.logins)
    t.drain(stub.refuse(401, "token expired"))
    asked = t.stub.logins[before:]
    t.expect(
        asked == ["/api/v1/token/refresh/"],
        expected="one refresh of the token",
        got=lambda: f"token requests: {asked}",
    )
    t.expect(
        set(t.stub.stored_ids) == set(ids),
        expected="the batch is sent again with the new token",
        got=lambda: f"{len(t.stub.stored_ids)} of 2 arrived",
    )
    tokens = [request.headers.get("Authorization") for request in t.arrived()]
    t.expect(
        tokens[0] != tokens[-1],
        expected="the second request carries the new token",
        got=lambda: f"{tokens}",
    )


@check("SKP-RES-24")
def rejected_token_stops(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2, login="team-a")
    ran = t.drain(then=stub.refuse(401, "token expired"))
    t.expect_exit(ran, {1, 2}, "nothing was sent")
    t.expect(
        len(t.arrived()) <= 2,
        expected="one retry after the refresh, then the drain stops",
        got=f"{len(t.arrived())} posts",
    )
    t.expect_count("rejected", 0, "the login is at fault, not an event")
    t.expect_kept(ids, "nobody looked at them")


_STOPPING = (301, 302, 307, 308, 404, 405, 409, 410, 415, 418, 201, 202, 204, 207)


@check("SKP-RES-22", *(Case(str(code), {"status": code}) for code in _STOPPING))
def other_answers_stop(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    answer = stub.refuse(case["status"], "not here")
    ran = t.drain(then=answer)
    t.expect_exit(ran, {1}, "nothing was delivered")
    t.expect(
        len(t.arrived()) == 1,
        expected="the drain stops at once",
        got=f"{len(t.arrived())} posts",
    )
    t.expect(
        case.name in ran.text,
        expected=f"the operator reads the status {case.name}",
        got=lambda: ran.text[:300],
        step=ran.step,
    )
    t.expect_count("rejected", 0, "no event is at fault")
    t.expect_kept(ids, "nothing was taken")


@check("SKP-RES-25", *(Case(str(code), {"status": code}) for code in (400, 422)))
def unprocessable_is_like_400(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=4)
    details = [{"event_id": ids[1], "error": "payload.wp_id: bad"}]
    t.drain(then=poison(ids[1], stub.refuse(case["status"], "invalid", details=details)))
    t.expect(
        set(t.stub.stored_ids) == set(ids) - {ids[1]},
        expected="the three others are delivered in the same run",
        got=lambda: f"{len(t.stub.stored_ids)} of 3 were",
        about=ids[1],
    )


@check("SKP-RES-13", *(Case(str(code), {"status": code}) for code in (408, 500, 502, 504)))
def server_errors_are_transient(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    ran = t.drain(then=stub.refuse(case["status"], "out of order"))
    t.expect_exit(ran, {1}, "nothing was delivered")
    t.expect_count("rejected", 0, "the server is at fault, not an event")
    t.expect_kept(ids, "the server is in trouble")


@check("SKP-RES-26", *rows("403", "refused-connection", "reset"))
def no_access_is_no_rejection(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    if case.name == "refused-connection":
        with StubServer() as gone:
            url = gone.url
        t.point_at(url)
        ran = t.drain()
        t.point_at(t.stub.url)
    else:
        bad = stub.refuse(403, "not yours") if case.name == "403" else stub.raw(b"", lose=True)
        ran = t.drain(then=bad)
    t.expect_exit(ran, {1}, "nothing was delivered")
    t.expect_count("rejected", 0, "no event is at fault")
    t.expect_kept(ids, "nothing was taken")


@check("SKP-RES-14", *rows("429", "503"))
def retry_after_is_kept(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    wait = {"Retry-After": "1"}
    answer = stub.refuse(int(case.name), "slow down", headers=wait)
    ran = t.drain(answer)
    posts = [one for one in t.exchanges if one.request.method == "POST"]
    t.expect(
        len(posts) >= 1 and (len(posts) == 1 or t.exchanges[ran.step - 1].elapsed_ms >= 900),
        expected="no request within the second that Retry-After asks for",
        got=f"{len(posts)} posts in {t.exchanges[ran.step - 1].elapsed_ms:.0f} ms",
    )
    if len(posts) == 1:
        t.expect_kept(ids, "the server asked to wait")
    else:
        t.expect_delivered(ids)


@check("SKP-RES-15")
def protocol_mismatch_stops(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    guidance = "install spec-kitty 9"
    body = {
        "error": "protocol 1.0 is not spoken here",
        "error_code": "protocol_mismatch",
        "sync_protocol": {"upgrade_guidance": guidance},
    }
    ran = t.drain(then=stub.raw(json.dumps(body).encode(), 412))
    t.expect_exit(ran, {1}, "nothing was delivered")
    t.expect(len(t.arrived()) == 1, expected="one post", got=f"{len(t.arrived())} posts")
    t.expect(
        guidance in ran.text,
        expected="the operator reads the server's guidance",
        got=lambda: ran.text[:300],
        step=ran.step,
    )
    t.expect_count("rejected", 0, "no event is at fault")
    t.expect_kept(ids, "they only wait for an upgrade")


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

    t.drain(edited(edit))
    t.expect_kept([ids[0]], "the answer contradicts itself about it")
    t.expect_delivered([ids[1]])


@check("SKP-RES-17")
def too_large_batch_is_halved(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=10)

    def answer(request: StubRequest, server: StubServer) -> StubReply:
        small = len(request.ids) <= 3
        return (stub.per_event() if small else stub.refuse(413, "too large"))(request, server)

    ran = t.drain(then=answer)
    t.expect_exit(ran, {0}, "everything was delivered in smaller batches")
    t.expect(
        t.stub.stored_ids == ids,
        expected="all ten arrive, in the order of capture",
        got=lambda: f"{len(t.stub.stored_ids)} arrived: {', '.join(t.stub.stored_ids)[:200]}",
    )


@check("SKP-RES-18", *rows("lost", "cut"))
def lost_answer_ends_in_duplicate(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=3)
    lost = stub.lose_answer() if case.name == "lost" else stub.cut_answer()
    t.drain(lost)
    if t.has("retry"):
        t.run("retry")
    t.drain()
    t.expect(
        sorted(set(t.stub.seen_ids)) == sorted(ids),
        expected="the same three ids are sent again, and no others",
        got=lambda: f"ids seen: {sorted(set(t.stub.seen_ids))}",
    )
    t.expect_delivered(ids)
    t.expect_count("undelivered", 0, "duplicate means delivered")


@check("SKP-RES-19", *rows("500", "reset"))
def one_bad_event_starves_nobody(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=10)
    bad = ids[2]
    answer = stub.refuse(500, "crash") if case.name == "500" else stub.raw(b"", lose=True)
    t.drain(then=poison(bad, answer))
    t.expect(
        set(t.stub.stored_ids) == set(ids) - {bad},
        expected="the nine others arrive in the same run",
        got=lambda: f"{len(t.stub.stored_ids)} did",
        about=bad,
    )
    t.expect_kept([bad], "the server fails on it")


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
