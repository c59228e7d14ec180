"""What a producer makes of an answer to a whole batch: refused, stopped, throttled, lost."""

from __future__ import annotations

import json
import math
import time
from email.utils import formatdate

from spec_kitty_sync.conformance import stub
from spec_kitty_sync.conformance.producer_trial import ProducerTrial, listed
from spec_kitty_sync.conformance.stub import StubReply, StubRequest, StubServer
from spec_kitty_sync.conformance.suite import Case, check, rows


@check("SKP-RES-10", *rows("list", "json-string"))
def named_culprits_are_isolated(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=10)
    bad = ids[3]
    listed = [{"event_id": bad, "error": "payload.wp_id: bad"}]
    details = listed if case.name == "list" else json.dumps(listed)
    t.drain(then=stub.poison(bad, stub.refuse(400, "invalid batch", details=details)))
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
    t.drain(then=stub.poison(bad, stub.refuse(400, "something is wrong", details="see the log")))
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


@check("SKP-RES-31")
def names_one_at_a_time_are_bisected(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=20)
    bad = ids[1:17:2]

    def answer(request: StubRequest, server: StubServer) -> StubReply:
        first = next((one for one in request.ids if one in bad), None)
        named = [{"event_id": first, "error": "payload.wp_id: bad"}]
        refused = stub.refuse(400, "invalid batch", details=named)
        return (refused if first else stub.per_event())(request, server)

    t.drain(then=answer)
    t.expect(
        set(t.stub.stored_ids) == set(ids) - set(bad),
        expected="the events that no answer names are delivered in the same run",
        got=lambda: f"{len(t.stub.stored_ids)} of {len(ids) - len(bad)} were",
    )
    t.expect_count("rejected", len(bad), "each was named, whatever it was sent with")
    sizes = [len(request.ids) for request in t.arrived()]
    # Five rounds end at fifteen events; their halves have eight at most.
    t.expect(
        not any(8 < size < 15 for size in sizes),
        expected="after five rounds that name one event each, the other fifteen are halved",
        got=lambda: f"posts of {listed(sizes)} events",
    )


@check("SKP-RES-25")
def unprocessable_is_like_400(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=4)
    details = [{"event_id": ids[1], "error": "payload.wp_id: bad"}]
    t.drain(then=stub.poison(ids[1], stub.refuse(422, "invalid", details=details)))
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


def slow_down(status: int, *, date: bool) -> stub.Answer:
    """Refuse with a Retry-After of 1 s, or a *date* that is 1 to 2 s away when the answer goes."""

    def answer(request: StubRequest, server: StubServer) -> StubReply:
        wait = formatdate(time.time() + 2, usegmt=True) if date else "1"
        return stub.refuse(status, "slow down", headers={"Retry-After": wait})(request, server)

    return answer


@check("SKP-RES-14", *rows("date", "429", "503"))
def retry_after_is_kept(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    dated = case.name == "date"
    ran = t.drain(slow_down(429 if dated else int(case.name), date=dated))
    posts = len(t.arrived())
    t.expect(
        posts >= 1 and (posts == 1 or t.seconds_of(ran) >= 0.9),
        expected="no request within the second that Retry-After asks for",
        got=f"{posts} posts in {t.seconds_of(ran):.1f} s",
    )
    if posts > 1:
        t.expect_delivered(ids)
        return
    if dated:
        t.drain(slow_down(429, date=False))
        t.expect(
            len(t.arrived()) - posts <= 1,
            expected="a drain that waits for seconds waits for a date too",
            got="with a date it ended after the first answer, with seconds it went on",
            step=ran.step,
        )
    t.expect_kept(ids, "the server asked to wait")


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
        got=lambda: f"ids seen: {listed(sorted(set(t.stub.seen_ids)))}",
    )
    t.expect_delivered(ids)
    t.expect_count("undelivered", 0, "duplicate means delivered")


@check("SKP-RES-19", *rows("500", "reset", "four-apart"))
def one_bad_event_starves_nobody(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=10)
    bad = ids[::3] if case.name == "four-apart" else [ids[2]]
    answer = stub.raw(b"", lose=True) if case.name == "reset" else stub.refuse(500, "crash")
    t.drain(then=stub.poison(bad, answer))
    t.expect(
        set(t.stub.stored_ids) == set(ids) - set(bad),
        expected=f"the {len(ids) - len(bad)} others arrive in the same run",
        got=lambda: f"{len(t.stub.stored_ids)} did",
        about=bad[0],
    )
    t.expect_kept(bad, "the server fails on it")


@check("SKP-RES-30", *rows("500", "reset"))
def server_that_fails_on_all_is_left_alone(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=10)
    t.drain(then=stub.raw(b"", lose=True) if case.name == "reset" else stub.refuse(500, "crash"))
    alone = {request.ids[0] for request in t.arrived() if len(request.ids) == 1}
    t.expect(
        len(alone) <= 3,
        expected="a server that fails on three events in a row, each alone, is asked no more",
        got=lambda: f"{len(alone)} events were sent alone, in {len(t.arrived())} posts",
    )
    t.expect_kept(ids, "the server is down")
