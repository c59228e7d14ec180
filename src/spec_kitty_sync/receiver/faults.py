"""Faults on purpose: each breaks one promise of the healthy receiver, for tests only.

A fault is a function `Parts → Parts` that replaces one seam. It never runs unless named with
`--fault`, and health then says `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.decide import Known, Result, Verdict
from spec_kitty_sync.receiver.parts import Parts


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken promise: what an operator would see, and the change."""

    description: str
    apply: Callable[[Parts], Parts]


def faulty(parts: Parts, names: Iterable[str]) -> Parts:
    """Return *parts* with the named faults applied in order.

    Raises:
        UsageError: there is no fault of that name.
    """
    for name in names:
        if name not in FAULTS:
            raise UsageError(
                f"there is no fault {name!r}", remedy=f"Choose from: {', '.join(sorted(FAULTS))}."
            )
        parts = FAULTS[name].apply(parts)
    return parts


def _forgets_ids(parts: Parts) -> Parts:
    def decide(
        verdicts: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int
    ) -> list[Result]:
        return parts.decide(verdicts, {}, now_ms=now_ms)

    return replace(parts, decide=decide)


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "forgets-ids": Fault("answers success to an id that was stored before", _forgets_ids),
    }
)
