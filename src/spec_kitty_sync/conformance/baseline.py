"""Known failures: each with its reason and the day on which it stops being an excuse."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from spec_kitty_sync._words import plural
from spec_kitty_sync.conformance.outcome import FOUND, CheckResult, Outcome


class BaselineError(Exception):
    """The file cannot be used; the text is one sentence with the remedy."""


@dataclass(frozen=True)
class Known:
    """One known failure; without `case` it covers every case of the check."""

    check: str
    reason: str
    expires: date
    case: str | None = None

    def covers(self, result: CheckResult) -> bool:
        """Return whether *result* is what this entry speaks of."""
        return self.check == result.check_id and self.case in (None, result.case)

    @property
    def name(self) -> str:
        return self.check if self.case is None else f"{self.check}[{self.case}]"


@dataclass(frozen=True)
class Comparison:
    """What a baseline makes of a run."""

    known: tuple[CheckResult, ...]
    new: tuple[CheckResult, ...]
    stale: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every failure is known and every entry still needed."""
        return not self.new and not self.stale

    @property
    def lines(self) -> list[str]:
        """What a run prints about its baseline."""
        lines = [f"baseline: {plural(len(self.known), 'known failure')}, {len(self.new)} new"]
        return lines + [f"baseline: {text}" for text in self.stale]


def load_baseline(path: Path) -> tuple[Known, ...]:
    """Read `[[known]]` entries: check, reason, expires (a date), case where only one is meant.

    Raises:
        BaselineError: unreadable, or an entry lacks one of the three.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("known", [])
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise BaselineError(f"the baseline {path} cannot be read: {exc}") from exc
    return tuple(_known(path, entry) for entry in entries)


def compare(
    baseline: Iterable[Known],
    results: Mapping[tuple[str, str], CheckResult],
    today: date,
) -> Comparison:
    """Return which failures are known, which are new, and which entries have gone stale."""
    entries = list(baseline)
    live = [entry for entry in entries if entry.expires >= today]
    failed = [one for one in results.values() if one.outcome is Outcome.FAILED]
    known = tuple(one for one in failed if any(entry.covers(one) for entry in live))
    new = tuple(one for one in failed if one not in known)
    stale = [
        f"{entry.name} expired on {entry.expires}: mend what it excuses, or renew the entry"
        for entry in entries
        if entry.expires < today
    ]
    for entry in live:
        covered = [one for one in results.values() if entry.covers(one)]
        if covered and not any(one.outcome in FOUND for one in covered):
            stale.append(f"{entry.name} fails no more: remove the entry")
    return Comparison(known, new, tuple(stale))


def _known(path: Path, entry: Mapping[str, object]) -> Known:
    check, reason, expires = entry.get("check"), entry.get("reason"), entry.get("expires")
    if not isinstance(check, str) or not isinstance(reason, str) or not reason.strip():
        raise BaselineError(f"{path}: every entry needs `check` and a `reason`")
    if not isinstance(expires, date):
        raise BaselineError(f"{path}: {check} needs `expires`, a date such as 2026-12-31")
    case = entry.get("case")
    return Known(check, reason, expires, case if isinstance(case, str) else None)
