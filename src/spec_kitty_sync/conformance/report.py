"""One JSON document per run; every other form of the report is made from it."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync.conformance import record
from spec_kitty_sync.conformance.catalogue import Catalogue, Requirement
from spec_kitty_sync.conformance.failure_text import capsule_stem, render
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome, Verdict

FORMAT = "spec-kitty-conformance-report/1"
_SHOWN_BYTES = 16_384
# The worst outcome of a requirement's cases stands for the requirement.
_ORDER = (
    Outcome.FAILED,
    Outcome.ERROR,
    Outcome.NOT_RUN,
    Outcome.WARNING,
    Outcome.PASSED,
    Outcome.NOT_APPLICABLE,
)


@dataclass(frozen=True)
class RunFacts:
    """What a report says about the run as a whole."""

    url: str
    profile: str
    seed: str
    started_ms: int
    duration_ms: float
    verdict: Verdict
    exit_code: int
    namespace: str
    project_uuid: str
    receiver: Mapping[str, Any]
    folder: Path = Path(".sk")
    notes: tuple[str, ...] = ()


def document(
    facts: RunFacts,
    catalogue: Catalogue,
    results: Mapping[tuple[str, str], CheckResult],
    expected: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """Return the report of a run as JSON values (schema: schemas/conformance-report.json)."""
    rows = [
        _requirement(
            row,
            [results[key] for key in expected if key[0] == row.id and key in results],
            facts.folder,
        )
        for row in catalogue.requirements
        if any(key[0] == row.id for key in expected)
    ]
    counts = Counter(result.outcome.value for result in results.values())
    return {
        "format": FORMAT,
        "contract": catalogue.version,
        "verdict": facts.verdict.value,
        "exit_code": facts.exit_code,
        "counts": {outcome.value: counts[outcome.value] for outcome in Outcome},
        "missing": [name_of(key) for key in expected if key not in results],
        "run": {
            "profile": facts.profile,
            "seed": facts.seed,
            "started_at": utc_iso(facts.started_ms),
            "duration_ms": round(facts.duration_ms),
            "notes": list(facts.notes),
            "versions": versions(),
        },
        "receiver": {"url": facts.url, **facts.receiver},
        "left_behind": {
            "namespace": facts.namespace,
            "project_uuid": facts.project_uuid,
            "requests": sum(result.requests for result in results.values()),
            "events_sent": sum(result.events_sent for result in results.values()),
            "events_stored": sum(result.events_stored for result in results.values()),
        },
        "requirements": rows,
    }


def name_of(key: tuple[str, str]) -> str:
    """Return how a case is called in texts: `SKR-IDM-01[case]`."""
    return f"{key[0]}[{key[1]}]" if key[1] else key[0]


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    found = {"python": platform.python_version()}
    for name in ("spec-kitty-sync", "pytest", "hypothesis"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome that stands for several."""
    found = set(outcomes)
    return next((outcome for outcome in _ORDER if outcome in found), Outcome.NOT_RUN)


def _requirement(row: Requirement, results: list[CheckResult], folder: Path) -> dict[str, Any]:
    return {
        "id": row.id,
        "level": row.level,
        "profile": row.profile,
        "capability": row.capability,
        "provisional": row.provisional,
        "title": row.title,
        "clause": row.clause,
        "sentence": row.sentence,
        "why": row.why,
        "outcome": worst(result.outcome for result in results).value,
        "cases": [_case(row, result, folder) for result in results],
    }


def _case(row: Requirement, result: CheckResult, folder: Path) -> dict[str, Any]:
    data = record.result_to_json(result)
    for name in ("id", "level", "profile"):
        del data[name]
    for one in data["exchanges"] + [suspect["exchange"] for suspect in data["suspects"]]:
        _shorten(one["request"])
        _shorten(one["response"])
    found = result.outcome not in {Outcome.PASSED, Outcome.NOT_APPLICABLE}
    kept = result.outcome in {Outcome.FAILED, Outcome.WARNING} and result.exchanges
    data["capsule"] = f"{capsule_stem(result)}.json" if kept else ""
    data["text"] = render(row, result, folder) if found else ""
    return data


def _shorten(message: dict[str, Any] | None) -> None:
    for key in ("text", "base64"):
        if message is not None and len(message.get(key, "")) > _SHOWN_BYTES:
            message["cut_from"] = len(message[key])
            message[key] = message[key][:_SHOWN_BYTES]
