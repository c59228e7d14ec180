"""Results as JSON values, and the few lines that sum a run up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from spec_kitty_sync._words import plural
from spec_kitty_sync.conformance import exchange
from spec_kitty_sync.conformance.outcome import CheckResult, Finding, Outcome, Suspect

_REASONS_SHOWN = 5
_NOUNS = {Outcome.WARNING: "SHOULD finding", Outcome.ERROR: "error"}


def result_to_json(result: CheckResult) -> dict[str, Any]:
    """Return *result* as JSON values; requests are kept only where something was found."""
    found = result.finding
    keep = result.outcome is not Outcome.PASSED
    return {
        "id": result.check_id,
        "case": result.case,
        "level": result.level,
        "profile": result.profile,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "finding": None if found is None else dict(vars(found)),
        "ruled_out": list(result.ruled_out),
        "siblings": [list(pair) for pair in result.siblings],
        "suspects": [_suspect_to_json(one) for one in result.suspects],
        "duration_ms": result.duration_ms,
        "requests": result.requests,
        "events_sent": result.events_sent,
        "events_stored": result.events_stored,
        "exchanges": [exchange.to_json(one) for one in result.exchanges] if keep else [],
    }


def result_from_json(data: Mapping[str, Any]) -> CheckResult:
    """Return the result that `result_to_json` wrote."""
    found = data["finding"]
    return CheckResult(
        check_id=data["id"],
        case=data["case"],
        level=data["level"],
        profile=data["profile"],
        outcome=Outcome(data["outcome"]),
        reason=data["reason"],
        finding=None if found is None else Finding(**found),
        exchanges=tuple(exchange.from_json(one) for one in data["exchanges"]),
        ruled_out=tuple(data["ruled_out"]),
        siblings=tuple((name, end) for name, end in data["siblings"]),
        suspects=tuple(_suspect_from_json(one) for one in data["suspects"]),
        duration_ms=data["duration_ms"],
        requests=data["requests"],
        events_sent=data["events_sent"],
        events_stored=data["events_stored"],
    )


def _suspect_to_json(suspect: Suspect) -> dict[str, Any]:
    return {**vars(suspect), "exchange": exchange.to_json(suspect.exchange)}


def _suspect_from_json(data: Mapping[str, Any]) -> Suspect:
    return Suspect(**{**data, "exchange": exchange.from_json(data["exchange"])})


def summary_lines(
    results: Mapping[tuple[str, str], CheckResult], expected: Sequence[tuple[str, str]]
) -> list[str]:
    """Return counts, and what did not run and why."""
    counts = Counter(result.outcome for result in results.values())
    words = [
        plural(counts[outcome], _NOUNS[outcome])
        if outcome in _NOUNS
        else f"{counts[outcome]} {outcome.value.replace('_', ' ')}"
        for outcome in Outcome
        if counts[outcome]
    ]
    lines = [f"{plural(len(expected), 'case')}: {', '.join(words) or 'none ran'}"]
    for outcome in (Outcome.NOT_RUN, Outcome.NOT_APPLICABLE):
        reasons = Counter(one.reason for one in results.values() if one.outcome is outcome)
        word = outcome.value.replace("_", " ")
        # What was never asked is what a verdict does not say: all of it is told.
        told = reasons.most_common(_REASONS_SHOWN if outcome is Outcome.NOT_RUN else None)
        lines += [f"{word} ({count}): {reason}" for reason, count in told]
        if others := len(reasons) - len(told):
            rest = reasons.total() - sum(count for _, count in told)
            lines.append(
                f"{word} ({rest}): for {plural(others, 'other reason')}, all in the report"
            )
    return lines
