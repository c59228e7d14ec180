"""Known failures: each with its reason and the day on which it stops being an excuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from spec_kitty_sync._words import plural
from spec_kitty_sync.conformance.catalogue import catalogue_path, kind_of, load_catalogue
from spec_kitty_sync.conformance.outcome import FOUND, OPEN, CheckResult, Outcome
from spec_kitty_sync.conformance.suite import packaged_suite
from spec_kitty_sync.conformance.typed_toml import TomlError, TomlTable, near, read_toml

Key = tuple[str, str]
"""A check id and the name of one of its cases."""


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
        return self.names((result.check_id, result.case))

    def names(self, key: Key) -> bool:
        """Return whether the case *key* is what this entry speaks of."""
        return self.check == key[0] and self.case in (None, key[1])

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
        BaselineError: unreadable, or an entry lacks one of the three, or is of no check there is.
    """
    try:
        told = read_toml(path, "baseline")
        told.allow(["known"])
        return tuple(map(_known, told.tables("known")))
    except TomlError as exc:
        raise BaselineError(str(exc)) from exc


def compare(
    baseline: Iterable[Known],
    results: Mapping[Key, CheckResult],
    today: date,
    missing: Iterable[Key] = (),
) -> Comparison:
    """Return which failures are known, which are new, and which entries have gone stale.

    *missing*: selected cases that left no result; what did not run is no sign of being mended.
    """
    unseen = {*missing, *(key for key, one in results.items() if one.outcome in OPEN)}
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
        fails = any(one.outcome in FOUND for one in covered)
        if covered and not fails and not any(map(entry.names, unseen)):
            stale.append(f"{entry.name} fails no more: remove the entry")
    return Comparison(known, new, tuple(stale))


def excuse_of(baseline: Iterable[Known], result: CheckResult, today: date) -> str:
    """Return why *baseline* excuses *result*; nothing where it does not."""
    if result.outcome is not Outcome.FAILED:
        return ""
    live = (one for one in baseline if one.expires >= today and one.covers(result))
    return next((one.reason for one in live), "")


def _known(entry: TomlTable) -> Known:
    entry.allow(["check", "case", "reason", "expires"])
    for key in ("check", "reason"):
        if not entry.text(key).strip():
            entry.refuse(key, f'every entry needs a text there: {key} = "…"')
    expires = entry.day("expires")
    check, case = entry.text("check"), entry.text("case") if "case" in entry.values else None
    kind = kind_of(check)
    ids = [row.id for row in load_catalogue(catalogue_path(kind=kind)).requirements]
    if check not in ids:
        entry.refuse("check", f"there is no such check: {near(check, ids)}")
    cases = [one.name for one in packaged_suite(kind).checks[check].cases]
    if case is not None and case not in cases:
        named = [name for name in cases if name]
        entry.refuse(
            "case",
            f"{check} has no such case: {near(case, named)}"
            if named
            else f"{check} has one case without a name: leave `case` out",
        )
    return Known(check, entry.text("reason"), expires, case)
