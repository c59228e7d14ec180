"""One test for each row of the senders' table (CONTRACT 5), against a live server."""

from __future__ import annotations

import json

import pytest

from spec_kitty_sync.conformance.stub import (
    each,
    lose_answer,
    per_event,
    raw,
    refuse,
    rejected,
    result,
)
from spec_kitty_sync.delivery.receivers import ExternalReceiver, ReceiverOptions
from spec_kitty_sync.delivery.retries import retry
from spec_kitty_sync.delivery.selection import Limits
from spec_kitty_sync.delivery.states import DeliveryState


def counts_untouched(bench, url):
    """Nothing was rejected, and no attempt was counted."""
    row = bench.store.conn.execute(
        "SELECT coalesce(sum(rejections), 0), coalesce(sum(attempts), 0) FROM delivery_ledger"
        " WHERE state <> 'delivered'"
    ).fetchone()
    return tuple(row) == (0, 0)


def refuse_all_with(poison: set[str], words: str = "field team is missing", status: int = 400):
    """Refuse each request that holds one of *poison*, naming nobody."""

    def answer(request, stub):
        if poison & set(request.ids):
            return refuse(status, words)(request, stub)
        return per_event()(request, stub)

    return answer


# 200, but not of the promised shape


@pytest.mark.parametrize(
    "body",
    [
        b"<html>sign in</html>",
        b'{"results": [{"event_id"',
        b"",
        b"[]",
        b'{"results": {}}',
        b"null",
        b"[" * 50_000,
        b"\xff\xfe",
    ],
    ids=["html", "cut", "empty", "list", "no list", "null", "deep", "not utf-8"],
)
def test_answer_of_another_shape_makes_all_transient(bench, stub, body):
    """A 200 that is no result list delivers nothing and loses nothing."""
    ids = bench.append(3)
    stub.next(raw(body))
    report = bench.drain(stub.url)
    assert (report.transient, report.delivered) == (3, 0)
    bench.clock.advance(60)
    assert bench.drain(stub.url).delivered == 3
    assert stub.stored_ids == ids


def test_missing_unknown_and_contradicting_results_are_transient(bench, stub):
    """Each such event is transient with its reason; the others of the batch are delivered."""
    missing, odd, torn, twice, good = bench.append(5)
    results = [
        {"event_id": odd, "status": "stored-ish"},
        {"event_id": torn, "status": "success"},
        {"event_id": torn, "status": "rejected", "error": "no"},
        {"event_id": twice, "status": "success"},
        {"event_id": twice, "status": "success"},
        {"event_id": good, "status": "success"},
        {"event_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "status": "success"},
        {"event_id": None, "status": "success"},
        7,
    ]
    stub.next(raw(json.dumps({"results": results}).encode()))
    report = bench.drain(stub.url)
    assert bench.states(stub.url) == {
        missing: "transient",
        odd: "transient",
        torn: "transient",
        twice: "delivered",
        good: "delivered",
    }
    assert report.unknown_ids == 3
    assert {group.reason for group in report.failures} == {
        "the answer has no result for this event",
        "unknown status 'stored-ish'",
        "contradicting results for this event",
    }


def test_results_are_bound_by_id_not_by_place(bench, stub):
    """Results in another order meet their own events."""
    first, second = bench.append(2)
    results = [
        {"event_id": second, "status": "rejected", "error_message": "bad lane"},
        {"event_id": first, "status": "success"},
    ]
    stub.next(raw(json.dumps({"results": results}).encode()))
    bench.drain(stub.url)
    assert bench.states(stub.url) == {first: "delivered", second: "rejected"}


def test_failed_words_of_the_wire_lead_to_their_states(bench, stub):
    """failed_transient comes back by itself, failed_permanent rests until someone retries it."""
    later, never, server = bench.append(3)
    stub.next(
        per_event(
            {
                later: result("failed_transient", "db busy"),
                never: result("failed_permanent", "too old"),
                server: rejected("internal error", "server_error"),
            }
        )
    )
    bench.drain(stub.url)
    assert bench.states(stub.url) == {
        later: "transient",
        never: "terminal_failed",
        server: "transient",
    }
    bench.clock.advance(3600)
    assert bench.drain(stub.url).delivered == 2
    assert bench.states(stub.url)[never] == "terminal_failed"


# 400 and 422 with details


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("as_text", [False, True])
def test_named_events_are_rejected_and_the_others_sent_again(bench, stub, status, as_text):
    """The details name the culprits; everybody else is delivered in the same run."""
    ids = bench.append(6)
    details = [{"event_id": ids[1], "error": "bad lane"}, {"event_id": ids[4], "reason": "no id"}]
    stub.next(refuse(status, details=json.dumps(details) if as_text else details))
    report = bench.drain(stub.url)
    assert (report.rejected, report.delivered, report.requests) == (2, 4, 2)
    assert stub.requests[1].ids == (ids[0], ids[2], ids[3], ids[5])
    assert {group.reason for group in report.failures} == {"bad lane", "no id"}


def test_details_that_name_all_or_strangers_blame_nobody(bench, stub):
    """Unusable details are no details: the batch is probed, and nobody is rejected by them."""
    ids = bench.append(3)
    everyone = [{"event_id": i, "error": "transaction rolled back"} for i in ids]
    stranger = [{"event_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "error": "bad"}]
    stub.next(refuse(400, details=everyone))
    assert bench.drain(stub.url).delivered == 3
    ids = bench.append(3)
    stub.next(refuse(400, details=stranger))
    assert bench.drain(stub.url).delivered == 3


def test_details_for_ever_end_in_bisection(bench, stub):
    """A receiver that names one event at a time is bisected after five rounds."""
    ids = bench.append(40)
    poison = set(ids[5:35:3])

    def one_at_a_time(request, stub):
        guilty = [i for i in request.ids if i in poison]
        if not guilty:
            return per_event()(request, stub)
        return refuse(400, details=[{"event_id": guilty[0], "error": "bad"}])(request, stub)

    stub.always(one_at_a_time)
    report = bench.drain(stub.url)
    assert (report.rejected, report.delivered) == (10, 30)
    assert len(stub.requests[6].ids) <= 20


# 400 and 422 without details


@pytest.mark.parametrize("place", [0, 1, 499, 998, 999])
def test_one_poison_event_is_isolated_in_few_posts(bench, stub, place):
    """A refusal without details: the culprit alone is rejected, in about log2(n) posts."""
    ids = bench.append(1000)
    stub.always(refuse_all_with({ids[place]}))
    report = bench.drain(stub.url)
    assert (report.rejected, report.delivered) == (1, 999)
    assert bench.states(stub.url)[ids[place]] == "rejected"
    assert report.requests <= 21


def test_several_poison_events_are_isolated(bench, stub):
    """Several culprits are found one after the other; nobody else is blamed."""
    ids = bench.append(64)
    poison = {ids[3], ids[4], ids[40], ids[63]}
    stub.always(refuse_all_with(poison))
    report = bench.drain(stub.url)
    assert (report.rejected, report.delivered) == (4, 60)
    assert {i for i, state in bench.states(stub.url).items() if state == "rejected"} == poison


def test_bisection_finishes_the_left_half_before_the_right(bench, stub):
    """Between the two probes and after them, events are stored in journal order."""
    ids = bench.append(16)
    stub.always(refuse_all_with({ids[6]}))
    bench.drain(stub.url)
    probes = {ids[0], ids[15]}
    stored = [i for i in stub.stored_ids if i not in probes]
    assert stored == [i for i in ids if i not in probes | {ids[6]}]


def test_refusal_after_an_accepted_part_blames_the_event(bench, stub):
    """A receiver that took the other half does not refuse everything: the culprit is rejected."""
    good, bad = bench.append(2)
    stub.next(refuse(413), per_event(), refuse(400, "bad lane"))
    report = bench.drain(stub.url)
    assert (report.stop, report.delivered, report.rejected) == (None, 1, 1)
    assert bench.states(stub.url) == {good: "delivered", bad: "rejected"}


def test_receiver_that_refuses_everything_stops_the_drain(bench, stub):
    """The same words for every request: the request is at fault, no event is blamed."""
    ids = bench.append(50)
    stub.always(refuse(400, "unknown API version"))
    report = bench.drain(stub.url)
    assert (report.stop.code, report.stop.http_status) == ("receiver_refuses_all", 400)
    assert report.stop.server_words == "unknown API version"
    assert all(asked in report.stop.message for asked in (ids[0], ids[-1]))
    assert report.not_sent == 50
    assert len(stub.requests) == 3
    assert counts_untouched(bench, stub.url)
    stub.always(per_event())
    assert bench.drain(stub.url).delivered == 50
    assert stub.stored_ids == ids


# 401


class Refreshing:
    """Credentials whose refresh works as often as it is told."""

    def __init__(self, tokens):
        self.tokens = list(tokens)
        self.refreshes = 0

    def access_token(self):
        return self.tokens[0]

    def refresh(self):
        self.refreshes += 1
        if len(self.tokens) == 1:
            return False
        self.tokens.pop(0)
        return True

    def login_id(self):
        return "login-1"


def with_credentials(bench, url, credentials, *, batch=1000):
    options = ReceiverOptions(Limits(events=batch), clock=bench.clock)
    return ExternalReceiver(url, bench.client, credentials=credentials, options=options)


def token_gate(good):
    """Accept only the token *good*."""

    def answer(request, stub):
        if request.headers.get("Authorization") != f"Bearer {good}":
            return refuse(401, "token expired")(request, stub)
        return per_event()(request, stub)

    return answer


def test_expired_token_is_refreshed_once_and_the_batch_sent_again(bench, stub):
    """A 401 costs one refresh and one more post; no event notices."""
    bench.append(3)
    stub.always(token_gate("new"))
    credentials = Refreshing(["old", "new"])
    report = bench.drain(stub.url, receiver=with_credentials(bench, stub.url, credentials))
    assert (report.delivered, report.requests, credentials.refreshes) == (3, 2, 1)


@pytest.mark.parametrize("tokens", [["old"], ["old", "also old", "new"]])
def test_token_that_stays_bad_stops_the_drain(bench, stub, tokens):
    """After one refresh the drain stops, with the command to log in; no counts move."""
    bench.append(3)
    stub.always(token_gate("new"))
    credentials = Refreshing(tokens)
    report = bench.drain(stub.url, receiver=with_credentials(bench, stub.url, credentials))
    assert (report.stop.code, report.not_sent, credentials.refreshes) == ("auth_expired", 3, 1)
    assert "auth login" in report.stop.remedy
    assert counts_untouched(bench, stub.url)


def test_event_refused_for_its_token_is_handled_like_a_401(bench, stub):
    """rejected + auth_expired refreshes once; the event is not blamed."""
    _, second = bench.append(2)
    expired = rejected("token expired", "auth_expired")
    stub.next(per_event({second: expired}))
    credentials = Refreshing(["old", "new"])
    report = bench.drain(stub.url, receiver=with_credentials(bench, stub.url, credentials))
    assert (report.delivered, stub.requests[1].ids) == (2, (second,))
    (third,) = bench.append()
    stub.always(each(expired))
    report = bench.drain(stub.url, receiver=with_credentials(bench, stub.url, Refreshing(["x"])))
    assert (report.stop.code, report.not_sent) == ("auth_expired", 1)
    assert bench.states(stub.url)[third] == "open"
    assert counts_untouched(bench, stub.url)


def test_event_that_stays_refused_for_its_token_stops_the_drain(bench, stub):
    """One refresh and one retry, even where every refresh yields another token."""
    bench.append(3)
    stub.always(each(rejected("token expired", "auth_expired")))
    credentials = Refreshing(map(str, range(50)))
    report = bench.drain(stub.url, receiver=with_credentials(bench, stub.url, credentials))
    assert (report.stop.code, report.not_sent, credentials.refreshes) == ("auth_expired", 3, 1)
    assert len(stub.requests) == 2
    assert counts_untouched(bench, stub.url)


def test_batch_on_the_wire_is_recorded_when_the_one_before_stops_the_drain(bench, stub):
    """The next batch may have left by then: its answer counts, and nothing of it is sent again."""
    first, second, third, fourth = bench.append(4)
    stub.next(per_event({second: rejected("token expired", "auth_expired")}))
    receiver = with_credentials(bench, stub.url, Refreshing(["old"]), batch=2)
    report = bench.drain(stub.url, receiver=receiver)
    assert (report.stop.code, report.delivered, report.not_sent) == ("auth_expired", 3, 1)
    assert bench.states(stub.url)[second] == "open"
    bench.drain(stub.url)
    assert stub.seen_ids == [first, second, third, fourth, second]


@pytest.mark.parametrize("words", ["internal field is empty", "token count is no number"])
def test_details_blame_the_event_whatever_their_words(bench, stub, words):
    """A 400 that names an event refuses its content: no word in the reason makes that the server's
    or the login's fault."""
    bad, good = bench.append(2)
    stub.next(refuse(400, details=[{"event_id": bad, "error": words}]))
    report = bench.drain(stub.url)
    assert (report.stop, report.rejected, report.delivered) == (None, 1, 1)
    assert bench.rows(stub.url) == {bad: ("rejected", "unknown"), good: ("delivered", "")}


# what stops the drain


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "forbidden"),
        (412, "protocol_mismatch"),
        (404, "not_found"),
        (405, "not_found"),
        (409, "unexpected_answer"),
        (415, "unexpected_answer"),
        (418, "unexpected_answer"),
        (201, "unexpected_answer"),
        (202, "unexpected_answer"),
        (204, "unexpected_answer"),
        (207, "unexpected_answer"),
    ],
)
def test_other_answers_stop_the_drain_with_a_remedy(bench, stub, status, code):
    """The report names status, the server's first words and one command; all stays sendable."""
    bench.append(4)
    stub.next(refuse(status, "upgrade to 2.0 please"))
    report = bench.drain(stub.url, batch=2)
    assert (report.stop.code, report.stop.http_status) == (code, status)
    assert report.stop.server_words == ("" if status == 204 else "upgrade to 2.0 please")
    assert "spec-kitty" in report.stop.remedy
    assert len(stub.requests) == 1
    assert counts_untouched(bench, stub.url)
    assert bench.drain(stub.url).delivered == 4


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_never_followed(bench, stub, status):
    """Body and token do not travel to where a 3xx points."""
    bench.append(2)
    stub.next(refuse(status, headers={"Location": stub.url + "/elsewhere/"}))
    report = bench.drain(stub.url)
    assert (report.stop.code, len(stub.requests)) == ("redirected", 1)


# 413


def test_batch_that_is_too_large_is_halved_until_it_fits(bench, stub):
    """413 halves the batch; everything arrives, in order, in the same run."""
    ids = bench.append(20)

    def small_only(request, stub):
        answer = refuse(413) if len(request.ids) > 3 else per_event()
        return answer(request, stub)

    stub.always(small_only)
    assert bench.drain(stub.url).delivered == 20
    assert stub.stored_ids == ids


def test_single_event_that_is_too_large_rests_and_the_others_flow(bench, stub):
    """413 for one event alone is terminal: kept, not sent again by drains, only by retry."""
    ids = bench.append(9)
    huge = ids[4]

    def too_large(request, stub):
        answer = refuse(413, "event too large") if huge in request.ids else per_event()
        return answer(request, stub)

    stub.always(too_large)
    report = bench.drain(stub.url)
    assert (report.terminal, report.delivered) == (1, 8)
    assert bench.rows(stub.url)[huge] == ("terminal_failed", "too_large")
    assert bench.journal.get(huge).body is not None
    bench.clock.advance(86_400)
    assert bench.drain(stub.url).requests == 0
    stub.always(per_event())
    retry(bench.store, bench.target(stub.url), states=[DeliveryState.TERMINAL_FAILED])
    assert bench.drain(stub.url).delivered == 1


# 429 and 503 with Retry-After


@pytest.mark.parametrize("status", [429, 503])
def test_short_throttling_is_waited_out(bench, stub, status):
    """The drain waits as asked and goes on in the same run."""
    bench.append(2)
    stub.next(refuse(status, headers={"Retry-After": "7"}))
    report = bench.drain(stub.url)
    assert (report.delivered, report.waited_s) == (2, 7.0)


def test_long_throttling_stops_and_says_when(bench, stub):
    """More than the budget of 30 s in all: stop, nothing lost, with the time to come back."""
    bench.append(2)
    now = bench.clock.now_ms()
    stub.next(
        refuse(429, headers={"Retry-After": "20"}), refuse(429, headers={"Retry-After": "20"})
    )
    report = bench.drain(stub.url)
    assert (report.stop.code, report.waited_s) == ("throttled", 20.0)
    assert report.stop.retry_at == pytest.approx(now + 40_000, abs=100)
    assert counts_untouched(bench, stub.url)


def test_throttling_without_a_time_doubles_its_own_wait(bench, stub):
    """429 without Retry-After: 1 s, 2 s, 4 s … within the budget."""
    bench.append(2)
    stub.next(refuse(429), refuse(429), refuse(429))
    report = bench.drain(stub.url)
    assert (report.delivered, report.waited_s) == (2, 7.0)


# 408, 5xx, lost answers


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_server_error_is_tried_twice_then_the_batch_is_halved(bench, stub, status):
    """One failing batch is halved, order kept; everything arrives in the same run."""
    ids = bench.append(8)
    stub.next(refuse(status), refuse(status))
    report = bench.drain(stub.url)
    assert (report.delivered, report.requests) == (8, 4)
    assert [len(request.ids) for request in stub.requests] == [8, 8, 4, 4]
    assert stub.stored_ids == ids


def test_event_that_always_breaks_the_server_is_alone_transient(bench, stub):
    """The others arrive in the same run; the one backs off and is asked again later."""
    ids = bench.append(10)
    bad = ids[3]

    def crash(request, stub):
        answer = refuse(500, "boom") if bad in request.ids else per_event()
        return answer(request, stub)

    stub.always(crash)
    report = bench.drain(stub.url)
    assert (report.transient, report.delivered, report.stop) == (1, 9, None)
    assert bench.rows(stub.url)[bad] == ("transient", "server_error")
    assert bench.drain(stub.url).requests == 0
    stub.always(per_event())
    bench.clock.advance(3600)
    assert bench.drain(stub.url).delivered == 1


def test_server_that_is_down_stops_after_three_single_failures(bench, stub):
    """Three singles in a row: the drain stops, and what was not tried stays open."""
    bench.append(100)
    stub.always(refuse(500))
    report = bench.drain(stub.url)
    assert (report.stop.code, report.transient, report.not_sent) == ("server_down", 3, 97)
    assert report.requests < 25


def test_single_failures_between_successes_do_not_stop_the_drain(bench, stub):
    """Only three failing singles in a row mean that the server is down."""
    ids = bench.append(16)
    bad = {ids[1], ids[4], ids[7], ids[10]}

    def crash(request, stub):
        answer = refuse(500, "boom") if bad & set(request.ids) else per_event()
        return answer(request, stub)

    stub.always(crash)
    report = bench.drain(stub.url)
    assert (report.transient, report.delivered, report.stop) == (4, 12, None)


def test_lost_answer_is_sent_again_under_the_same_id(bench, stub):
    """The receiver stored the batch, the answer broke: the next try gives duplicates."""
    ids = bench.append(4)
    stub.next(lose_answer())
    report = bench.drain(stub.url)
    assert (report.duplicates, report.requests) == (4, 2)
    assert stub.stored_ids == ids


# fairness


def test_due_retries_take_at_most_half_a_batch_while_new_events_wait(bench, stub):
    """Old failures never starve new events."""
    old = bench.append(20)
    stub.next(each(result("failed_transient", "later")))
    bench.drain(stub.url)
    bench.clock.advance(3600)
    new = bench.append(20)
    bench.drain(stub.url, batch=10)
    for request in stub.requests[1:5]:
        assert sum(i in old for i in request.ids) == 5
    assert [i for i in stub.seen_ids[20:] if i in new] == new
    assert set(stub.stored_ids) == {*old, *new}


def test_event_is_sent_once_per_run(bench, stub):
    """Whatever the results say, a run does not come back to an event it has an answer for."""
    bench.append(30)
    kinds = ["failed_transient", "rejected", "pending", "nonsense"]
    counter = iter(range(10**6))
    stub.always(each(lambda _: result(kinds[next(counter) % 4], "words")))
    report = bench.drain(stub.url, batch=4)
    assert len(stub.seen_ids) == len(set(stub.seen_ids)) == 30
    assert report.selected == 30


def test_thousand_long_rejections_are_read_and_recorded(bench, stub):
    """An answer of more than a megabyte is within the response cap of its batch."""
    bench.append(1000)
    stub.next(each(rejected("x" * 1500)))
    report = bench.drain(stub.url)
    assert report.rejected == 1000
    (group,) = report.failures
    assert len(group.reason) == 500
