"""A mutant, what it met, and the score of a suite that met many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spec_kitty_sync.conformance.outcome import FOUND, CheckResult


@dataclass(frozen=True)
class Mutant:
    """One fault of the reference receiver and the checks that are to find it.

    `excuse` says why nothing on the wire can show the fault; such a mutant has no killers.
    `receiver` is how the receiver has to be set up for the fault to matter.
    """

    name: str
    description: str
    killers: tuple[str, ...]
    excuse: str = ""
    receiver: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Meeting:
    """What came of one mutant and the checks it met."""

    mutant: Mutant
    results: tuple[CheckResult, ...]

    @property
    def killed_by(self) -> tuple[str, ...]:
        """The ids of the checks that found something, in the order of the catalogue."""
        return tuple(dict.fromkeys(one.check_id for one in self.results if one.outcome in FOUND))

    @property
    def is_killed(self) -> bool:
        return bool(self.killed_by)


@dataclass(frozen=True)
class Score:
    """All meetings; survivors without an excuse count against the suite."""

    meetings: tuple[Meeting, ...] = field(default_factory=tuple)

    @property
    def survivors(self) -> tuple[Mutant, ...]:
        return tuple(one.mutant for one in self.meetings if not one.is_killed)

    @property
    def percent(self) -> float:
        """Killed mutants per hundred of those that can be seen on the wire."""
        visible = [one for one in self.meetings if not one.mutant.excuse]
        killed = sum(one.is_killed for one in visible)
        return 100.0 * killed / len(visible) if visible else 0.0
