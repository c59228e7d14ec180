"""Two reports side by side: what broke, what was mended, what is new."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec_kitty_sync.conformance.report import FORMAT


class ReportError(Exception):
    """The file is no report; the text says why."""


@dataclass(frozen=True)
class Difference:
    """Cases whose outcome changed, by name; each with before and after."""

    broke: tuple[tuple[str, str, str], ...]
    mended: tuple[tuple[str, str, str], ...]
    other: tuple[tuple[str, str, str], ...]

    @property
    def lines(self) -> list[str]:
        """The difference as text."""
        lines = []
        for title, rows in (
            ("broke", self.broke),
            ("mended", self.mended),
            ("changed", self.other),
        ):
            lines += [f"{title:8} {name:44} {before} → {after}" for name, before, after in rows]
        return lines or ["no case changed its outcome"]


def load_report(path: Path) -> dict[str, Any]:
    """Return the report in *path*.

    Raises:
        ReportError: it cannot be read, or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ReportError(f"{path} cannot be read as a report: {exc}") from exc
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ReportError(f"{path} is no conformance report (its format is not {FORMAT})")
    return content


def compare_reports(before: dict[str, Any], after: dict[str, Any]) -> Difference:
    """Return what changed from *before* to *after*; a case in one of them only is `absent`."""
    old, new = _outcomes(before), _outcomes(after)
    changed = [
        (name, old.get(name, "absent"), new.get(name, "absent"))
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]
    broke = tuple(row for row in changed if row[2] in {"failed", "error"})
    mended = tuple(row for row in changed if row[1] in {"failed", "error"} and row[2] == "passed")
    other = tuple(row for row in changed if row not in broke and row not in mended)
    return Difference(broke, mended, other)


def _outcomes(report: dict[str, Any]) -> dict[str, str]:
    return {
        f"{row['id']}[{case['case']}]" if case["case"] else row["id"]: case["outcome"]
        for row in report["requirements"]
        for case in row["cases"]
    }
