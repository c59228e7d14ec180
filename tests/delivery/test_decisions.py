"""The pure decisions: states, back-off, categories, correlation, reading of answers."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_kitty_sync._http import Reply
from spec_kitty_sync.delivery.answers import (
    Fatal,
    Named,
    Refused,
    Results,
    Throttled,
    TooLarge,
    Trouble,
    Unauthorized,
    read_answer,
)
from spec_kitty_sync.delivery.backoff import (
    HOUR_MS,
    pending_delay_ms,
    retry_after_s,
    throttle_delay_s,
    transient_delay_ms,
)
from spec_kitty_sync.delivery.states import DeliveryState, next_state
from spec_kitty_sync.events.results import (
    BatchResult,
    Outcome,
    ResultStatus,
    categorize,
    correlate,
    read_details,
    words_of,
)

S = DeliveryState
LEADS_TO = {
    Outcome.SUCCESS: S.DELIVERED,
    Outcome.DUPLICATE: S.DELIVERED,
    Outcome.PENDING: S.PENDING,
    Outcome.TRANSIENT: S.TRANSIENT,
    Outcome.REJECTED: S.REJECTED,
    Outcome.TERMINAL_FAILED: S.TERMINAL_FAILED,
}
NOW_MS = 1_770_000_000_000


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("state", DeliveryState)
def test_state_yields_to_every_outcome_unless_delivered(state, outcome):
    """Only delivered is absorbing; every other state follows the latest outcome."""
    expected = S.DELIVERED if state is S.DELIVERED else LEADS_TO[outcome]
    assert next_state(state, outcome, rejections=1) is expected


@pytest.mark.parametrize(("rejections", "state"), [(4, S.REJECTED), (5, S.DEAD_LETTER)])
def test_fifth_rejection_is_the_last(rejections, state):
    """The limit turns a rejected event into a dead letter."""
    assert next_state(S.REJECTED, Outcome.REJECTED, rejections=rejections) is state
    assert next_state(S.OPEN, Outcome.REJECTED, rejections=1, limit=1) is S.DEAD_LETTER


def test_pending_is_asked_after_half_a_minute_doubling_to_an_hour():
    """30 s, 60 s, 120 s … 1 h."""
    delays = [pending_delay_ms(n) for n in range(1, 12)]
    assert delays[:3] == [30_000, 60_000, 120_000]
    assert delays[-1] == pending_delay_ms(10**6) == HOUR_MS


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_transient_backoff_stays_within_the_hour(attempts, jitter):
    """Whatever the attempts and the jitter, the wait is positive and at most an hour."""
    assert 7_500 <= transient_delay_ms(attempts, jitter) <= HOUR_MS


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("-5", 1.0),
        ("999999", 3600.0),
        ("9" * 400, 3600.0),
        (formatdate(NOW_MS / 1000 + 90, usegmt=True), 90.0),
        (formatdate(NOW_MS / 1000 - 90, usegmt=True), 1.0),
        (formatdate(NOW_MS / 1000 + 10**6, usegmt=True), 3600.0),
        ("soon", None),
        ("1.5", None),
        ("", None),
        ("Fri, 99 Foo 2026", None),
        (None, None),
    ],
)
def test_retry_after_is_clamped_and_never_trusted(header, seconds):
    """Seconds or a date, past or absurd: between 1 s and 1 h, or not understood."""
    assert retry_after_s(header, NOW_MS) == seconds


def test_throttling_doubles():
    """1 s, 2 s, 4 s … 1 h."""
    assert [throttle_delay_s(n) for n in (1, 2, 3, 99)] == [1.0, 2.0, 4.0, 3600.0]


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("Token has expired", "auth_expired"),
        ("HTTP 401", "auth_expired"),
        ("internal timeout", "server_error"),
        ("invalid type", "schema_mismatch"),
        ("field token is missing", "auth_expired"),
        ("no idea", "unknown"),
        ("", "unknown"),
    ],
)
def test_category_is_the_first_match_of_the_published_words(words, category):
    """The table's order decides, in lower case."""
    assert categorize(words) == category


@pytest.mark.parametrize(
    ("given_category", "category"),
    [
        ("my_own-word", "my_own-word"),
        ("", "schema_mismatch"),
        (7, "schema_mismatch"),
        ("x" * 41, "schema_mismatch"),
        ("two words", "schema_mismatch"),
        ("\x1b[31m", "schema_mismatch"),
    ],
)
def test_category_of_the_receiver_is_taken_if_it_is_a_word(given_category, category):
    """A receiver's own category is kept; anything else gives way to the words."""
    item = {
        "event_id": "a",
        "status": "rejected",
        "error": "invalid",
        "error_category": given_category,
    }
    (result,) = correlate(["a"], json.dumps({"results": [item]}).encode()).results
    assert result.error_category == category


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
results_like = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.sampled_from(["a", "b", "c", "d"]) | json_values,
        "status": st.sampled_from([*ResultStatus, "queued", "ok"]) | json_values,
        "error": json_values,
        "error_category": json_values,
    },
)


@settings(max_examples=200, deadline=None)
@given(st.lists(results_like | json_values, max_size=8) | json_values)
def test_correlation_gives_one_result_per_sent_event_whatever_comes(results):
    """Any JSON at all: exactly one result for each id sent, in order, and nothing else."""
    sent = ["a", "b", "c"]
    found = correlate(sent, json.dumps({"results": results}).encode())
    assert [result.event_id for result in found.results] == sent
    for result in found.results:
        assert result.outcome in Outcome
        assert result.status is not None or result.error


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(200, 599))
def test_any_answer_can_be_read(body, status):
    """No bytes under any status make the reading fail."""
    assert read_answer(Reply(status, {}, body), ["a"], now_ms=NOW_MS) is not None
    assert "\n" not in words_of(body)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Results),
        (400, Refused),
        (422, Refused),
        (401, Unauthorized),
        (413, TooLarge),
        (429, Throttled),
        (503, Trouble),
        (408, Trouble),
        (500, Trouble),
        (599, Trouble),
        (201, Fatal),
        (204, Fatal),
        (301, Fatal),
        (304, Fatal),
        (403, Fatal),
        (404, Fatal),
        (412, Fatal),
        (499, Fatal),
    ],
)
def test_status_decides_the_kind_of_answer(status, kind):
    """Each status of the senders' table has its one reading."""
    assert isinstance(read_answer(Reply(status, {}, b"{}"), ["a"], now_ms=NOW_MS), kind)


def test_503_with_retry_after_is_throttling():
    """A server that says when is waited for, not bisected."""
    answer = read_answer(Reply(503, {"retry-after": "9"}, b""), ["a"], now_ms=NOW_MS)
    assert answer == Throttled(9.0, "", 503)


@pytest.mark.parametrize(
    ("sent", "named", "usable"),
    [
        (["a", "b"], ["a"], True),
        (["a"], ["a"], True),
        (["a", "b"], ["a", "b"], False),
        (["a", "b"], ["x"], False),
        (["a", "b"], ["a", "x"], False),
        (["a", "b"], [], False),
    ],
)
def test_details_are_usable_only_if_they_name_some_of_what_was_sent(sent, named, usable):
    """At least one, not all of several, and no stranger."""
    body = {"error": "no", "details": [{"event_id": i, "reason": "r"} for i in named]}
    answer = read_answer(Reply(400, {}, json.dumps(body).encode()), sent, now_ms=NOW_MS)
    assert isinstance(answer, Named if usable else Refused)


@pytest.mark.parametrize(
    "details", [["a"], [{"event_id": 1}], [{}], {"a": "b"}, "text", None, "[1]"]
)
def test_details_of_another_shape_name_nobody(details):
    """Details that are no list of named events are no details."""
    assert read_details(json.dumps({"details": details}).encode()) == {}


def test_words_of_an_answer_fit_one_line():
    """Error and details are joined, blanks folded, length bounded, half surrogates replaced."""
    body = json.dumps({"error": "bad\nline", "details": "more  \t words"}).encode()
    assert words_of(body) == "bad line: more words"
    assert len(words_of(b"x" * 10_000)) == 500
    words_of(b'{"error": "\\ud800"}').encode()


def test_result_that_blames_the_token_asks_for_a_login():
    """rejected + auth_expired is about the token, rejected + server_error about the server."""
    expired = BatchResult("a", ResultStatus.REJECTED, "x", "auth_expired")
    broken = BatchResult("a", ResultStatus.REJECTED, "x", "server_error")
    assert expired.needs_login
    assert broken.outcome is Outcome.TRANSIENT
