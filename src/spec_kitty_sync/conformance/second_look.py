"""Asks again, one at a time, what broke while several workers asked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from spec_kitty_sync.conformance.outcome import FOUND, OPEN, CheckResult, Outcome

Key = tuple[str, str]
_ONLY_BESIDE_OTHERS: Final = "asked again alone, the case passes: it breaks only beside others"


def in_doubt(results: Mapping[Key, CheckResult]) -> bool:
    """Return whether a connection broke that nobody can be blamed for."""
    return any(one.suspects and one.outcome is Outcome.ERROR for one in results.values())


def second_look(
    results: Mapping[Key, CheckResult],
    keys: Iterable[Key],
    run: Callable[[str, str], CheckResult],
) -> dict[Key, CheckResult]:
    """Return what *run* finds, one at a time, of those of *keys* that did not come to their end.

    Whoever passes alone is cleared only where another was found to break: else what broke would
    be forgotten, and it stays in doubt.
    """
    again = {key: run(*key) for key in keys if results[key].outcome in OPEN}
    if any(_broke(one) for one in again.values()):
        return again
    return {
        key: replace(results[key], reason=f"{results[key].reason}; {_ONLY_BESIDE_OTHERS}")
        if results[key].suspects and one.outcome not in FOUND | OPEN
        else one
        for key, one in again.items()
    }


def _broke(result: CheckResult) -> bool:
    step = result.finding.step if result.finding else 0
    return bool(step and result.exchanges[step - 1].broke)
