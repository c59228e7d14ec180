"""An event whose refusal only sounds like a refused login must not end every drain."""

from __future__ import annotations

import pytest
from delivery_bench import Bench

from spec_kitty_sync.conformance.stub import StubServer, each, per_event, refuse, rejected

WORDS = "payload.token is missing, 401 characters expected"


@pytest.fixture
def stub():
    with StubServer() as server:
        yield server


def poison(*ids: str, category: str | None = None):
    """Refuse these events with words that speak of a token, and take all others."""
    return per_event(dict.fromkeys(ids, rejected(WORDS, category)))


def test_event_refused_in_such_words_beside_a_taken_one_is_itself_to_blame(bench, stub):
    """What the login was good enough for shows that the words are about the event."""
    first, bad, last = bench.append(3)
    stub.always(poison(bad))
    report = bench.drain(stub.url)
    assert (report.stop, report.delivered, report.rejected) == (None, 2, 1)
    assert bench.rows(stub.url)[bad] == ("rejected", "unknown")
    assert report.failures[0].reason == WORDS
    assert stub.stored_ids == [first, last]


def test_poison_words_end_as_a_dead_letter_and_everything_else_flows(bench: Bench, stub):
    """Five drains later the event is parked; none of them left anybody waiting behind it."""
    (bad,) = bench.append()
    stub.always(poison(bad))
    for _ in range(5):
        bench.append(3)
        report = bench.drain(stub.url, batch=4)
        assert (report.stop, report.delivered) == (None, 3)
        bench.clock.advance(3600)
    assert bench.states(stub.url)[bad] == "dead_letter"


def test_poison_words_to_a_part_are_judged_by_the_whole_batch(bench, stub):
    """Where a batch had to be split, an event that is sent alone is compared with the others."""
    good, bad, more = bench.append(3)

    def split_first(request, server):
        large = len(request.ids) > 1
        return (refuse(413) if large else poison(bad))(request, server)

    stub.always(split_first)
    report = bench.drain(stub.url)
    assert (report.stop, report.delivered, report.rejected) == (None, 2, 1)
    assert bench.states(stub.url) == {good: "delivered", bad: "rejected", more: "delivered"}


@pytest.mark.parametrize("count", [1, 3])
def test_same_words_for_every_event_are_about_the_login(bench, stub, count):
    """A receiver that takes nothing and speaks of tokens is believed: stop, nobody is blamed."""
    bench.append(count)
    stub.always(each(rejected("token expired")))
    report = bench.drain(stub.url)
    assert (report.stop.code, report.not_sent, report.rejected) == ("auth_expired", count, 0)
    assert set(bench.states(stub.url).values()) == {"open"}


def test_stated_category_is_about_the_login_whatever_the_others_got(bench, stub):
    """`auth_expired` stated by the receiver is no guess: authorisation is per event."""
    good, locked = bench.append(2)
    stub.always(poison(locked, category="auth_expired"))
    report = bench.drain(stub.url)
    assert (report.stop.code, report.delivered) == ("auth_expired", 1)
    assert bench.states(stub.url) == {good: "delivered", locked: "open"}
