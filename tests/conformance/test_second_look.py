"""What several workers left in doubt is asked again, and never forgotten."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from spec_kitty_sync.conformance.exchange import Exchange, Request, Response
from spec_kitty_sync.conformance.outcome import CheckResult, Finding, Outcome, Suspect
from spec_kitty_sync.conformance.second_look import in_doubt, second_look

BROKEN = Exchange(Request("POST", "/"), None, "reset", 0, 1)
ANSWERED = Exchange(Request("POST", "/"), Response(500, (), b""), "", 0, 1)
A, B, C = ("A", ""), ("B", ""), ("C", "")


def result(check: str, outcome: Outcome, *, doubt: bool = False) -> CheckResult:
    """Return the end of a check; with *doubt* its request broke among others."""
    suspects = (Suspect(check, 1, BROKEN),) if doubt else ()
    return CheckResult(check, "", "MUST", outcome, reason="it broke", suspects=suspects)


def failed(check: str, exchange: Exchange) -> CheckResult:
    """Return a failure at its one step."""
    finding = Finding("an answer", "none", step=1)
    return CheckResult(check, "", "MUST", Outcome.FAILED, finding=finding, exchanges=(exchange,))


@pytest.fixture
def before() -> Mapping[tuple[str, str], CheckResult]:
    """Two in doubt, and one that was judged."""
    return {
        A: result("A", Outcome.ERROR, doubt=True),
        B: result("B", Outcome.ERROR, doubt=True),
        C: result("C", Outcome.PASSED),
    }


def test_culprit_that_breaks_alone_clears_the_others(
    before: Mapping[tuple[str, str], CheckResult],
) -> None:
    """Whoever passes alone is cleared once another was found to break."""
    alone = {A: failed("A", BROKEN), B: result("B", Outcome.PASSED)}
    assert in_doubt(before)
    assert second_look(before, before, lambda *key: alone[key]) == alone


def test_what_breaks_only_beside_others_stays_in_doubt(
    before: Mapping[tuple[str, str], CheckResult],
) -> None:
    """A death that nobody repeats alone makes no green run."""
    alone = {A: failed("A", ANSWERED), B: result("B", Outcome.PASSED)}
    found = second_look(before, before, lambda *key: alone[key])
    assert found[A] == alone[A]
    assert found[B].outcome is Outcome.ERROR
    assert "breaks only beside others" in found[B].reason
