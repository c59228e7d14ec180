"""What a check can end in, and what all of them together say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from spec_kitty_sync.conformance.exchange import Exchange


class Outcome(StrEnum):
    """The end of one case of one check."""

    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"
    NOT_RUN = "not_run"


class Verdict(StrEnum):
    """What the run says about the receiver."""

    CONFORMANT = "conformant"
    NOT_CONFORMANT = "not conformant"
    INCOMPLETE = "incomplete"

    @property
    def exit_code(self) -> int:
        return {"conformant": 0, "not conformant": 1, "incomplete": 4}[self.value]


@dataclass(frozen=True)
class Finding:
    """Want, got and what it means for an operator; `about` is the event id it is about."""

    expected: str
    got: str
    means: str = ""
    sender: str = ""
    step: int = 0
    about: str = ""


@dataclass(frozen=True)
class CheckResult:
    """One case of one check after it ran, or the reason why it did not."""

    check_id: str
    case: str
    level: str
    outcome: Outcome
    profile: str = "core"
    reason: str = ""
    finding: Finding | None = None
    exchanges: tuple[Exchange, ...] = ()
    ruled_out: tuple[str, ...] = ()
    duration_ms: float = 0.0
    requests: int = 0
    events_sent: int = 0
    events_stored: int = 0

    @property
    def name(self) -> str:
        return f"{self.check_id}[{self.case}]" if self.case else self.check_id


def verdict_of(results: Iterable[CheckResult], missing: int = 0) -> Verdict:
    """Return the verdict; *missing* counts selected cases that left no result.

    A MUST that failed decides. Otherwise every core case has to have run to its end, and at
    least one must have passed.
    """
    passed, incomplete = 0, missing > 0
    for result in results:
        if result.outcome is Outcome.FAILED:
            return Verdict.NOT_CONFORMANT
        passed += result.outcome is Outcome.PASSED
        incomplete |= result.outcome in {Outcome.ERROR, Outcome.NOT_RUN}
    return Verdict.CONFORMANT if passed and not incomplete else Verdict.INCOMPLETE
