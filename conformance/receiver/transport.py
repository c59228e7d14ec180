"""TRN: the route, the status and the shape of the answer."""

from collections.abc import Iterator
from dataclasses import replace

from spec_kitty_sync.conformance.exchange import Request
from spec_kitty_sync.conformance.probe import TAKEN, NotApplicable, Probe
from spec_kitty_sync.conformance.reply import CheckFailed, grouped
from spec_kitty_sync.conformance.suite import Case, check

_SLOW_MS = 30_000


@check("SKR-TRN-01")
def gzip_batch_is_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post([event])
    try:
        only = "the events may be stored, but only 200 tells the sender so"
        probe.taken(reply, [event], {"2xx": only, "": "a valid event is refused"})
    except CheckFailed as failed:
        raise failed.beside(grouped(_variations(probe))) from None


def _variations(probe: Probe) -> Iterator[tuple[str, str]]:
    """Send fresh events in other forms: what is taken says what the receiver stumbles over."""
    reply = probe.post([probe.make.event()], encoding=None, note="without gzip")
    yield "without gzip", reply.exchange.gist
    for name in ("X-Spec-Kitty-Sync-Protocol", "Accept-Encoding", "User-Agent"):
        request = probe.batch_request([probe.make.event()], note=f"without {name}")
        kept = tuple(pair for pair in request.headers if pair[0] != name)
        yield f"without {name}", probe.send(replace(request, headers=kept)).exchange.gist


@check("SKR-TRN-02")
def success_is_exactly_200(probe: Probe, case: Case) -> None:
    reply = probe.post(probe.make.events(2)).expect_answer()
    if reply.status is not None and 200 <= reply.status < 300:
        reply.expect_status(200, means="the events may be stored, but the sender does not know it")


@check("SKR-TRN-03")
def batch_path_never_redirects(probe: Probe, case: Case) -> None:
    reply = probe.post(probe.make.events(1)).expect_answer()
    if reply.status is not None and 300 <= reply.status < 400:
        raise reply.fail("no redirect", f"HTTP {reply.status} to {reply.header('Location')!r}")


@check("SKR-TRN-04")
def path_without_slash_is_no_silent_success(probe: Probe, case: Case) -> None:
    path = probe.around.address.batch_path.rstrip("/")
    event = probe.make.event()
    body = Request("POST", path, probe.head(), probe.body([event]), "path without its slash")
    reply = probe.send(body).expect_answer()
    if reply.status == 200:
        probe.repeated(
            probe.post([event], note="the same event on the right path"),
            [event],
            "the wrong path said 200, but stored nothing",
        )
    else:
        allowed = (301, 302, 303, 307, 308, 400, 404, 405, 410)
        reply.expect_status(*allowed, means={"5xx": "a wrong path takes it down"})


@check("SKR-TRN-05", Case("GET"), Case("PUT"), Case("DELETE"), Case("PATCH"))
def other_methods_are_405(probe: Probe, case: Case) -> None:
    body = probe.body(probe.make.events(1)) if case.name in {"PUT", "PATCH"} else b""
    path = probe.around.address.batch_path
    reply = probe.send(Request(case.name, path, probe.head(), body))
    reply.expect_status(405, means=f"{case.name} on the batch path is not refused as such")


@check("SKR-TRN-06")
def answer_is_typed_json(probe: Probe, case: Case) -> None:
    reply = probe.post(probe.make.events(1)).expect_answer()
    kind = (reply.header("Content-Type") or "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise reply.fail("Content-Type: application/json", f"Content-Type: {kind or 'none'}")
    if not isinstance(reply.json, dict):
        raise reply.fail("a JSON object as body")


@check("SKR-TRN-07", Case("twenty"), Case("after-401"), Case("after-405"))
def answers_on_one_connection_stay_apart(probe: Probe, case: Case) -> None:
    if case.name != "twenty":
        _understood_after_a_refusal(probe, case.name)
        return
    for size in range(1, 21):
        events = probe.make.events(1 + size % 3)
        reply = probe.post(events, note=f"batch {size} of 20")
        probe.taken(reply, events, "batches on one connection get mixed up")


def _understood_after_a_refusal(probe: Probe, how: str) -> None:
    # Plain text without a line break: what is left of it joins the next request's first line.
    events = probe.make.events(3)
    request = probe.batch_request(events, encoding=None, note=f"a request to refuse: {how}")
    if how == "after-405":
        request = replace(request, method="PUT")
    elif probe.around.token is None:
        raise NotApplicable("it asks for no token")
    else:
        request = replace(request, headers=probe.head(None))
    client = probe.another_client(keeps_refused=True)
    try:
        probe.send(request, client=client).expect_answer()
        event = probe.make.event()
        after = probe.batch_request([event], note="a valid batch on the same connection")
        reply = probe.send(after, client=client)
        legal = TAKEN
        if reply.status is None:  # closed without a word: a sender connects anew
            reply, legal = probe.send(after, client=client), TAKEN | {"duplicate"}
    finally:
        client.close()
    means = "the body of a refused request is left unread: its bytes become the head of the next"
    reply.expect_outcome(event, legal, means)


@check("SKR-TRN-08")
def chunked_body_is_accepted_or_411(probe: Probe, case: Case) -> None:
    events = probe.make.events(12)
    reply = probe.post(events, chunked=True, fresh=True, note="Transfer-Encoding: chunked")
    reply.expect_status(200, 411, means="without a Content-Length the request is not understood")
    if reply.status == 200:
        probe.taken(reply, events, "the chunks were not put together")


@check("SKR-TRN-09")
def full_batch_is_answered_in_time(probe: Probe, case: Case) -> None:
    events = probe.make.events(probe.around.max_events)
    reply = probe.post(events, patient=True, note="a full batch")
    reply.expect_outcome(events[0], TAKEN)
    if reply.exchange.elapsed_ms > _SLOW_MS:
        raise reply.fail("an answer within 30 s", f"one after {reply.exchange.elapsed_ms:.0f} ms")


@check(
    "SKR-TRN-11",
    Case("unknown-header", {"header": ("X-Sk-Tomorrow", "1")}),
    Case("traceparent", {"header": ("traceparent", "00-" + "1" * 32 + "-" + "2" * 16 + "-01")}),
    Case("accept", {"header": ("Accept", "application/json;q=0.9, */*;q=0.1")}),
)
def unknown_headers_are_ignored(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    reply = probe.post([event], headers=[case["header"]], note=f"with {case['header'][0]}")
    probe.taken(reply, [event], "a header that it does not know makes it refuse a valid batch")


@check("SKR-TRN-12")
def unknown_protocol_is_412(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    header = ("X-Spec-Kitty-Sync-Protocol", "99.0")
    reply = probe.post([event], headers=[header], note="protocol 99.0")
    clash = {"2xx": "what nobody can read yet is taken as if it were understood"}
    clash[""] = "a version clash is not told apart from bad events"
    body = reply.expect_error(412, means=clash)
    told = body.get("sync_protocol")
    if not isinstance(told, dict) or not told.get("upgrade_guidance"):
        raise reply.fail(
            "sync_protocol.upgrade_guidance in the answer",
            f"sync_protocol {told!r}",
            "the operator is stopped, and not told what to install",
        )
    probe.taken(
        probe.post([event], note="the same event, protocol 1.0"),
        [event],
        {"duplicate": "the event was stored although its protocol was refused"},
    )
