"""What a broken connection says about the receiver, and about which request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spec_kitty_sync.conformance.case_runner import Ending
from spec_kitty_sync.conformance.client import TOOK_NONE
from spec_kitty_sync.conformance.exchange import Exchange, Request, Response
from spec_kitty_sync.conformance.outcome import Outcome
from spec_kitty_sync.conformance.pulse import Pulse
from spec_kitty_sync.conformance.reply import Reply

REFUSED = Ending(Outcome.ERROR, "nothing accepts connections")
PASSED = Ending(Outcome.PASSED)


def exchange(started_ms: int, elapsed_ms: float = 5, *, broke: str = "") -> Exchange:
    """Return a post that was answered, or that broke."""
    answer = None if broke else Response(200, (), b"{}")
    return Exchange(Request("POST", "/"), answer, broke, started_ms, elapsed_ms)


def unanswered(one: Exchange, step: int = 1) -> Ending:
    """Return the end of a case that asked for an answer and got none."""
    failed = Reply(one, step).fail("an HTTP answer")
    return Ending(Outcome.FAILED, str(failed), failed.finding)


def test_request_that_breaks_names_the_one_answered_before() -> None:
    """A receiver can die late: whoever breaks is not blamed without its predecessor."""
    pulse, broken = Pulse(alone=True), exchange(20, broke="reset")
    assert pulse.felt(PASSED, [exchange(1)], "A") == PASSED
    end = pulse.felt(unanswered(broken), [broken], "B")
    assert end.outcome is Outcome.FAILED
    assert [(one.name, one.step) for one in end.suspects] == [("A", 1)]


def test_request_among_workers_is_never_blamed_alone() -> None:
    """With others on their way a broken connection is an error with suspects, not a failure."""
    pulse, broken = Pulse(alone=False), exchange(20, broke="reset")
    pulse.felt(PASSED, [exchange(1)], "A")
    end = pulse.felt(unanswered(broken), [broken], "B")
    assert end.outcome is Outcome.ERROR
    assert end.finding is None
    assert [one.name for one in end.suspects] == ["B", "A"]


def test_answer_cut_off_among_workers_is_blamed_on_nobody() -> None:
    """A receiver that dies of another's request can have begun this one's answer."""
    cut = replace(exchange(20), response=Response(200, (("Content-Length", "282"),), b""))
    end = Pulse(alone=False).felt(unanswered(cut), [cut], "B")
    assert (end.outcome, [one.name for one in end.suspects]) == (Outcome.ERROR, ["B"])
    assert Pulse(alone=True).felt(unanswered(cut), [cut], "B").outcome is Outcome.FAILED


def test_failure_without_a_broken_connection_stays_one_among_workers() -> None:
    """An answer is an answer, whoever else was asked."""
    pulse, one = Pulse(alone=False), exchange(1)
    assert pulse.felt(unanswered(one), [one], "A") == unanswered(one)


def test_death_among_requests_at_once_says_how_many() -> None:
    """Of sixteen posts on their way together none is named as the one."""
    posts = [exchange(10, 50, broke="reset") for _ in range(16)]
    end = Pulse(alone=True).felt(REFUSED, [exchange(1), *posts], "A")
    assert end.finding is not None
    assert "one of the 15 sent at the same time" in end.finding.means
    assert [one.step for one in end.suspects] == [1]


@pytest.mark.parametrize(("gap_ms", "count"), [(0, 1), (-4, 2)], ids=["one by one", "together"])
def test_requests_one_after_the_other_are_not_at_once(gap_ms: int, count: int) -> None:
    """Only what overlaps was on its way together."""
    steps = [exchange(100, 5), exchange(105 + gap_ms, 5)]
    pulse = Pulse(alone=True)
    pulse.felt(PASSED, steps, "A")
    assert pulse.felt(REFUSED, [], "B").suspects[0].at_once == count


def test_receiver_gone_after_an_answer_is_told_once() -> None:
    """The first case that finds it gone shows the suspect; the rest did not run."""
    pulse = Pulse(alone=True)
    pulse.felt(PASSED, [exchange(1), exchange(10)], "A")
    first, second = pulse.felt(REFUSED, [], "B"), pulse.felt(REFUSED, [], "C")
    assert first == replace(first, outcome=Outcome.ERROR)
    assert [(one.name, one.step) for one in first.suspects] == [("A", 2)]
    assert second == Ending(Outcome.NOT_RUN, "the receiver accepts no connections since A, step 2")


def test_receiver_that_takes_no_connection_has_not_died() -> None:
    """One that serves a single connection is busy, and its last answer no suspect."""
    pulse, busy = Pulse(alone=True), Ending(Outcome.ERROR, f"it {TOOK_NONE} 60 s")
    pulse.felt(PASSED, [exchange(1)], "A")
    assert pulse.felt(busy, [], "B") == busy


def test_receiver_gone_before_any_check_points_at_the_preflight() -> None:
    """Where no check was answered yet, the preflight's event was the last."""
    assert "the preflight" in Pulse(alone=True).felt(REFUSED, [], "A").reason
