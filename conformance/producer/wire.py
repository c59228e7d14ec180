"""What a producer puts on the wire: form of requests, order, size, and to whom."""

from __future__ import annotations

import gzip
import json

from spec_kitty_sync.conformance import stub
from spec_kitty_sync.conformance.probe import NotApplicable
from spec_kitty_sync.conformance.producer_trial import ProducerTrial, listed, note, own_address
from spec_kitty_sync.conformance.reply import last_words
from spec_kitty_sync.conformance.suite import Case, check, rows

BATCH_LIMIT = 1000
BODY_LIMIT = 8 * 1024 * 1024


@check("SKP-WIR-01")
def request_has_the_form(t: ProducerTrial, case: Case) -> None:
    t.prepare()
    ran = t.emit()
    t.expect_exit(ran, {0}, "a good event is captured")
    t.expect(
        len(t.ids_in(ran)) == 1,
        expected="`emit` prints the event's id",
        got=lambda: ran.text[:300] or "nothing printed",
        step=ran.step,
    )
    ran = t.drain()
    t.expect(
        bool(t.arrived()),
        expected="a request",
        got=lambda: f"none came; `drain` ended with {ran.exit_code}: {last_words(ran.text, 300)}",
        step=ran.step,
    )
    request = t.arrived()[0]
    t.expect(
        (request.method, request.path) == ("POST", stub.BATCH_PATH),
        expected=f"POST {stub.BATCH_PATH}, with its last slash",
        got=f"{request.method} {request.path}",
    )


@check(
    "SKP-WIR-11",
    Case("protocol", {"header": "X-Spec-Kitty-Sync-Protocol", "allowed": ("1.0",)}),
    Case("type", {"header": "Content-Type", "allowed": ("application/json",)}),
    Case("encoding", {"header": "Content-Encoding", "allowed": ("gzip", "identity", "")}),
)
def request_states_its_form(t: ProducerTrial, case: Case) -> None:
    t.prepare(events=2)
    t.drain()
    t.expect(bool(t.arrived()), expected="a request", got="none came")
    headers = {name.lower(): value for name, value in t.arrived()[0].headers.items()}
    found = headers.get(case["header"].lower(), "")
    t.expect(
        found.split(";")[0].strip() in case["allowed"],
        expected=f"{case['header']}: {' or '.join(filter(None, case['allowed']))}",
        got=f"{case['header']}: {found}" if found else f"no {case['header']}",
    )


@check("SKP-WIR-02")
def body_is_one_list_of_events(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=3)
    t.drain()
    t.expect(bool(t.arrived()), expected="one request", got="none came")
    request = t.arrived()[0]
    body = request.wire
    if request.headers.get("Content-Encoding") == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError) as exc:
            body = f"not gzip: {exc}".encode()
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    t.expect(
        isinstance(told, dict) and list(told) == ["events"] and isinstance(told["events"], list),
        expected='a body {"events":[…]}, packed at most once',
        got=lambda: body[:120].decode("utf-8", "backslashreplace"),
    )
    t.expect(
        list(request.ids) == ids,
        expected="the three events in the order of capture",
        got=lambda: ", ".join(request.ids),
    )


@check("SKP-WIR-03")
def batch_has_at_most_a_thousand(t: ProducerTrial, case: Case) -> None:
    t.need_bulk(BATCH_LIMIT + 1)
    ids = t.prepare(events=BATCH_LIMIT + 1)
    t.drain()
    sizes = [len(request.ids) for request in t.arrived()]
    t.expect(
        max(sizes, default=0) <= BATCH_LIMIT,
        expected=f"at most {BATCH_LIMIT} events in a request",
        got=f"requests with {sizes} events",
    )
    t.expect(
        t.stub.stored_ids == ids,
        expected="all of them arrive in one run, in the order of capture",
        got=lambda: f"{len(t.stub.stored_ids)} arrived",
    )


@check("SKP-WIR-04", *rows("bytes", "advertised-events", "advertised-bytes"))
def batch_is_bounded(t: ProducerTrial, case: Case) -> None:
    limit_events, limit_bytes = BATCH_LIMIT, BODY_LIMIT
    if case.name == "advertised-events":
        limit_events = t.stub.health["max_batch_events"] = 2
    elif case.name == "advertised-bytes":
        limit_bytes = t.stub.health["max_body_bytes"] = 20_000
    t.need_bulk(50)
    t.prepare(point=True)
    count, size = (50, 200_000) if case.name == "bytes" else (5, 6_000)
    ids = t.capture_payloads([note("x" * size) for _ in range(count)])
    t.drain()
    t.expect(
        all(len(request.ids) <= limit_events for request in t.arrived()),
        expected=f"at most {limit_events} events in a request",
        got=lambda: f"requests with {listed(len(one.ids) for one in t.arrived())} events",
    )
    t.expect(
        all(len(request.raw) <= limit_bytes for request in t.arrived()),
        expected=f"at most {limit_bytes} uncompressed bytes in a request",
        got=lambda: f"requests of {listed(len(one.raw) for one in t.arrived())} bytes",
    )
    t.expect(
        t.stub.stored_ids == ids,
        expected="all events arrive",
        got=lambda: f"{len(t.stub.stored_ids)} of {len(ids)} arrived",
    )


@check("SKP-WIR-05")
def order_is_the_order_of_capture(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=10)
    t.stub.health["max_batch_events"] = 3
    t.drain()
    t.expect(
        t.stub.seen_ids == ids,
        expected="the order of capture, over all requests",
        got=lambda: ", ".join(t.stub.seen_ids),
    )


@check("SKP-WIR-06", *rows("301", "302", "307", "308"))
def token_stays_with_its_server(t: ProducerTrial, case: Case) -> None:
    t.prepare(events=1, login="team-a")
    other = t.another_stub()
    to = {"Location": f"{other.url}{stub.BATCH_PATH}"}
    t.drain(then=stub.refuse(int(case.name), "moved", headers=to))
    t.expect(
        bool(t.arrived()) and "Authorization" in t.arrived()[0].headers,
        expected="the bearer token in the request to its own server",
        got="no Authorization header",
    )
    t.expect(
        not other.requests and not other.health_asked,
        expected="a redirect is not followed: nothing reaches the other server",
        got=lambda: f"{len(other.requests)} requests reached it",
    )


_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")


@check("SKP-WIR-12")
def proxies_of_the_environment_hear_nothing(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=2)
    trap = t.another_stub()
    t.environment |= dict.fromkeys(_PROXIES, trap.url) | dict.fromkeys(_EXCEPTIONS, "")
    t.drain()
    t.expect(
        not trap.requests and not trap.health_asked and not trap.logins,
        expected="nothing reaches the proxy that the environment names",
        got=lambda: f"{len(trap.requests)} batches, {trap.health_asked} questions for its health",
    )
    t.expect(
        t.stub.stored_ids == ids,
        expected="the events go to the server itself",
        got=lambda: f"{len(t.stub.stored_ids)} of {len(ids)} arrived",
    )


@check("SKP-WIR-13")
def plain_http_stays_on_this_machine(t: ProducerTrial, case: Case) -> None:
    host = own_address()
    if host is None:
        raise NotApplicable("this machine has no address but loopback to be refused")
    other = t.another_stub(host)
    ids = t.prepare(events=1, point=False)
    ran = [t.run("server", values={"url": other.url})]
    ran += [t.try_login()] if t.has("auth") else []
    ran += [t.drain()]
    t.expect(
        not other.requests and not other.logins and not other.health_asked,
        expected=f"nothing goes over plain http to {host}: no password, no token, no event",
        got=lambda: (
            f"{len(other.logins)} logins, {len(other.requests)} batches,"
            f" {other.health_asked} questions for its health"
        ),
    )
    t.expect(
        any(one.exit_code and "http" in one.text.lower() for one in ran),
        expected="a refusal in words that says why",
        got=lambda: listed(f"`{one.command}` {one.exit_code}: {one.text[:100]}" for one in ran),
    )
    t.point_at(t.stub.url)
    t.expect_kept(ids, "it only waits for a server that may have it")


@check("SKP-WIR-07")
def two_servers_stop_before_any_call(t: ProducerTrial, case: Case) -> None:
    ids = t.prepare(events=1)
    other = t.another_stub()
    asked = t.stub.health_asked
    t.use("other_server", other_url=other.url)
    ran = t.drain()
    t.expect(
        not t.arrived()
        and not other.requests
        and t.stub.health_asked + other.health_asked == asked,
        expected="no request to either server while two are named",
        got=lambda: f"{len(t.arrived())} and {len(other.requests)} batches",
    )
    t.expect_exit(ran, {1, 2, 3}, "the operator has to choose")
    t.expect(
        t.stub.url in ran.text and other.url in ran.text,
        expected="both servers are named",
        got=lambda: ran.text[:300],
        step=ran.step,
    )
    t.environment.clear()
    t.expect_kept(ids, "nothing was asked")


@check("SKP-WIR-08")
def disabled_means_silent_and_kept(t: ProducerTrial, case: Case) -> None:
    t.prepare()
    asked = t.stub.health_asked
    t.use("disabled")
    event_id = t.emit_id()
    t.drain()
    t.expect(
        not t.arrived() and t.stub.health_asked == asked,
        expected="no request while delivery is switched off",
        got=lambda: f"{len(t.arrived())} requests",
    )
    t.environment.clear()
    t.expect_kept([event_id], "it was captured while delivery was off")


@check("SKP-WIR-10")
def two_drains_send_nothing_twice(t: ProducerTrial, case: Case) -> None:
    t.need_bulk(60)
    ids = t.prepare(events=60)
    t.stub.health["max_batch_events"] = 20
    t.stub.always(stub.late(0.2))
    children = [t.start("drain"), t.start("drain")]
    for child in children:
        t.finish(child, "drain", note="two drains at once")
    t.expect(
        t.stub.seen_ids == ids,
        expected="each event once, in order",
        got=lambda: f"{len(t.stub.seen_ids)} were sent for {len(ids)}",
    )
