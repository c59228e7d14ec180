"""What a check can end in, and what all of them together say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from spec_kitty_sync.conformance.exchange import Exchange

_ID_FIELD = re.compile(r'"event_id": ?"[^"]*",? ?')


class Outcome(StrEnum):
    """The end of one case of one check."""

    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"
    NOT_RUN = "not_run"


FOUND: Final = frozenset({Outcome.FAILED, Outcome.WARNING})
"""Something is held against who is judged."""
OPEN: Final = frozenset({Outcome.ERROR, Outcome.NOT_RUN})
"""The case did not come to its end."""


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
    """Want, got and what it means for an operator; `about` is the event id it is about.

    `beside` tells what became of the neighbours: the other edits of the same batch.
    """

    expected: str
    got: str
    means: str = ""
    sender: str = ""
    step: int = 0
    about: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Suspect:
    """A request that the receiver may have died of: the last it answered, or one on its way.

    `at_once` counts the requests that the same check had on their way at that time.
    """

    name: str
    step: int
    exchange: Exchange
    at_once: int = 1

    @property
    def check_id(self) -> str:
        return self.name.partition("[")[0]


@dataclass(frozen=True)
class CheckResult:
    """One case of one check after it ran, or the reason why it did not.

    `siblings` are the other cases of the check, each with its end in a few words; `suspects` are
    there where the receiver was gone: what it answered last, and what it left without an answer.
    """

    check_id: str
    case: str
    level: str
    outcome: Outcome
    profile: str = "core"
    reason: str = ""
    finding: Finding | None = None
    exchanges: tuple[Exchange, ...] = ()
    ruled_out: tuple[str, ...] = ()
    siblings: tuple[tuple[str, str], ...] = ()
    suspects: tuple[Suspect, ...] = ()
    duration_ms: float = 0.0
    requests: int = 0
    events_sent: int = 0
    events_stored: int = 0

    @property
    def name(self) -> str:
        return f"{self.check_id}[{self.case}]" if self.case else self.check_id

    @property
    def in_short(self) -> str:
        """The end in a few words, without ids: `failed (2 results, none for number 3 of 3)`."""
        word = self.outcome.value.replace("_", " ")
        return f"{word} ({_ID_FIELD.sub('', self.finding.got)})" if self.finding else word


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
        incomplete |= result.outcome in OPEN
    return Verdict.CONFORMANT if passed and not incomplete else Verdict.INCOMPLETE
