"""The end of a run: verdict, exit code, and the files it leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from spec_kitty_sync._words import plural
from spec_kitty_sync.conformance.baseline import BaselineError, compare, excuse_of, load_baseline
from spec_kitty_sync.conformance.capsule import write_capsule
from spec_kitty_sync.conformance.catalogue import Catalogue
from spec_kitty_sync.conformance.entry import AnyPrepared, make_folder
from spec_kitty_sync.conformance.failure_text import suspect_stem
from spec_kitty_sync.conformance.outcome import (
    OPEN,
    CheckResult,
    Outcome,
    Suspect,
    Verdict,
    verdict_of,
)
from spec_kitty_sync.conformance.report import RunFacts, document
from spec_kitty_sync.conformance.report_html import html
from spec_kitty_sync.conformance.report_text import badge, junit, markdown
from spec_kitty_sync.conformance.request_text import body_file

HOST_CAUSE: Final = "the host's pytest options or hooks kept them from running"
Results = Mapping[tuple[str, str], CheckResult]


@dataclass(frozen=True)
class Conclusion:
    """What a run comes to; `exit_code` may excuse known failures, the verdict never does.

    `excused` says of each known failure why it is one.
    """

    verdict: Verdict
    exit_code: int
    notes: tuple[str, ...]
    excused: Mapping[tuple[str, str], str] = field(default_factory=dict)


def conclude(
    prepared: AnyPrepared,
    results: Results,
    expected: Sequence[tuple[str, str]],
    cause: str = HOST_CAUSE,
) -> Conclusion:
    """Return the verdict from what ran, not from what was planned.

    *cause*: what kept selected cases from running, where some left no result.
    """
    missing = [key for key in expected if key not in results]
    partial = bool(prepared.options.only)
    verdict = verdict_of(results.values(), len(missing) + partial)
    notes = []
    if missing:
        notes.append(f"{plural(len(missing), 'selected case')} left no result: {cause}")
    if partial:
        notes.append("only chosen checks ran, which says nothing about the whole")
    notes += _durability(prepared, results) + _gone(prepared, results)
    baseline = prepared.options.baseline
    if baseline is None:
        return Conclusion(verdict, verdict.exit_code, tuple(notes))
    try:
        known = load_baseline(baseline)
    except BaselineError as exc:
        return Conclusion(verdict, Verdict.INCOMPLETE.exit_code, (*notes, str(exc)))
    today = datetime.now(UTC).date()
    compared = compare(known, results, today, missing)
    notes += compared.lines
    unrun = len(missing) + sum(one.outcome in OPEN for one in results.values())
    exit_code = verdict.exit_code
    if not compared.holds:
        exit_code = Verdict.NOT_CONFORMANT.exit_code
    elif verdict is Verdict.NOT_CONFORMANT:
        exit_code = Verdict.INCOMPLETE.exit_code if unrun or partial else 0
        if unrun:
            notes.append(f"baseline: it excuses failures, not the {plural(unrun, 'case')} not run")
    reasons = {key: excuse_of(known, one, today) for key, one in results.items()}
    excused = {key: reason for key, reason in reasons.items() if reason}
    return Conclusion(verdict, exit_code, tuple(notes), excused)


def _durability(prepared: AnyPrepared, results: Results) -> list[str]:
    """Say that nobody asked whether events survive a restart, where nobody could."""
    ids = {row.id for row in prepared.rows() if row.capability == "restart-hook"}
    asked = [one for one in results.values() if one.check_id in ids]
    reasons = {one.reason for one in asked if one.outcome is Outcome.NOT_APPLICABLE}
    return [f"durability was not asked: {reason}" for reason in sorted(reasons)]


def suspects_of(results: Results) -> tuple[Suspect, ...]:
    """Return the requests that the receiver may have died of, where none can be blamed alone."""
    lost = [one for one in results.values() if one.outcome is Outcome.ERROR]
    return tuple({(one.name, one.step): one for end in lost for one in end.suspects}.values())


def _gone(prepared: AnyPrepared, results: Results) -> list[str]:
    """Say what the receiver may have died of, and how to go on."""
    suspects = suspects_of(results)
    if not suspects:
        return []
    names = ", ".join(f"{one.name} step {one.step}" for one in suspects)
    checks = ",".join(dict.fromkeys(one.check_id for one in suspects))
    word = "suspect" if len(suspects) == 1 else "suspects, each on its way or just answered"
    return [
        f"the receiver was gone; {word}: {names}. Start it again, then:"
        f" spec-kitty conformance receiver {prepared.options.url} --only {checks}"
    ]


def write_reports(
    prepared: AnyPrepared,
    catalogue: Catalogue,
    results: Results,
    expected: Sequence[tuple[str, str]],
    conclusion: Conclusion,
) -> list[Path]:
    """Write JSON, HTML, JUnit, Markdown, badge and a capsule per failure; return the paths."""
    folder = prepared.options.report
    make_folder(folder)
    asked = {check_id for check_id, _ in expected if not prepared.options.events}
    for old in folder.glob("SK[RPM]-???-[0-9][0-9]*"):
        if old.name.split(".")[0] in asked:
            old.unlink()  # what an earlier run found would be taken for what this one found
    found, namespace = prepared.found, prepared.namespace
    facts = RunFacts(
        url=prepared.subject,
        profile=prepared.told_profile,
        seed=namespace.seed,
        started_ms=namespace.started_ms,
        duration_ms=time.time_ns() // 1_000_000 - namespace.started_ms,
        verdict=conclusion.verdict,
        exit_code=conclusion.exit_code,
        namespace=namespace.label,
        project_uuid=namespace.project_uuid(),
        receiver={
            **dict(found.identity),
            "capabilities": sorted(prepared.capabilities),
            "limits": dict(found.limits),
        },
        folder=folder,
        notes=conclusion.notes,
    )
    report = document(facts, catalogue, results, expected)
    texts = {
        "report.json": json.dumps(report, ensure_ascii=False, indent=1) + "\n",
        "report.html": html(report),
        "junit.xml": junit(report, conclusion.excused),
        "summary.md": markdown(report),
        "badge.svg": badge(report),
    }
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        paths.append(path)
    for result in results.values():
        if result.outcome in {Outcome.FAILED, Outcome.WARNING} and result.exchanges:
            requirement = catalogue[result.check_id]
            write_capsule(folder, requirement, result, namespace, prepared.address.url)
    for suspect in suspects_of(results):
        if name := body_file(suspect_stem(suspect), suspect.exchange.request):
            (folder / name).write_bytes(suspect.exchange.request.body)
    return paths
