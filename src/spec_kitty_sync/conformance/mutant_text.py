"""The score of the suite in words: what the terminal and the docs show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from spec_kitty_sync.conformance.outcome import CheckResult, Outcome
from spec_kitty_sync.conformance.score import Score

_PATIENTS = {
    "receiver": "reference receiver",
    "producer": "small producer",
    "migration": "small migrator",
}
_BAD = frozenset({Outcome.FAILED, Outcome.WARNING, Outcome.ERROR, Outcome.NOT_RUN})


def healthy_line(results: Iterable[CheckResult], *, kind: str = "receiver") -> tuple[str, bool]:
    """Return what the healthy subject comes to, and whether nothing is held against it."""
    listed = list(results)
    bad = sorted({result.name for result in listed if result.outcome in _BAD})
    passed = sum(result.outcome is Outcome.PASSED for result in listed)
    if bad:
        return f"healthy {_PATIENTS[kind]}: held against it: {', '.join(bad)}", False
    return f"healthy {_PATIENTS[kind]}: {passed} cases passed, nothing held against it", True


def score_lines(score: Score) -> list[str]:
    """Return the score and, one by one, what survived."""
    excused = [one for one in score.survivors if one.excuse]
    lost = [one for one in score.survivors if not one.excuse]
    visible = len(score.meetings) - len(excused)
    lines = [
        f"score: {visible - len(lost)} of {visible} mutants killed ({score.percent:.1f} %),"
        f" {len(excused)} cannot be seen from outside"
    ]
    lines += [f"  survives: {one.name}: {one.description}" for one in lost]
    return lines + [f"  unseen: {one.name}: {one.excuse}" for one in excused]


def matrix(score: Score, *, kind: str = "receiver") -> str:
    """Return the matrix mutant × check as Markdown: one row per mutant, its killers beside it."""
    counts = Counter(check_id for one in score.meetings for check_id in one.killed_by)
    patient = _PATIENTS[kind]
    suite = "" if kind == "receiver" else f"--suite {kind} "
    lines = [
        f"# Mutants of the {patient}",
        "",
        f"Made by `spec-kitty conformance mutants {suite}--full --markdown FILE`.",
        f"Each row is the {patient} with one fault; **bold** is the check named for it.",
        "",
        *score_lines(score)[:1],
        "",
        "| mutant | what is broken | found by |",
        "|---|---|---|",
    ]
    for one in score.meetings:
        killers = [
            f"**{check_id}**" if check_id in one.mutant.killers else check_id
            for check_id in one.killed_by
        ]
        found = " ".join(killers) or f"*{one.mutant.excuse or 'survives'}*"
        lines.append(f"| `{one.mutant.name}` | {one.mutant.description} | {found} |")
    lines += ["", "| check | mutants found |", "|---|---|"]
    lines += [f"| {check_id} | {count} |" for check_id, count in sorted(counts.items())]
    return "\n".join(lines) + "\n"
