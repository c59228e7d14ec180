"""What diagnose prints: tables for a person, one JSON object, or one JSON result a line.

Results are printed as they come and not kept, so that memory stays flat on any input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from spec_kitty_sync.cli.render import console, plain, say, table
from spec_kitty_sync.cli.render_error import visible
from spec_kitty_sync.diagnose import (
    REPORT_VERSION,
    Cause,
    DiagnoseResult,
    Diagnosis,
    Place,
    Report,
    SourceReport,
    Summary,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_LISTED = 50
_PATIENCE_S = 1.0
_EVERY = 2000
_SHORT = 160
_PLACES = 6
_ID_WIDTH = 26


@dataclass(frozen=True)
class Listing:
    """Which results are shown one by one; everything is counted all the same."""

    only: str | None = None
    limit: int | None = None

    def of(self, results: Iterator[DiagnoseResult]) -> Iterator[DiagnoseResult | None]:
        """Pass each result on if it is to be shown, else None."""
        left = sys.maxsize if self.limit is None else self.limit
        for result in results:
            if left and self._wants(result):
                left -= 1
                yield result
            else:
                yield None

    def _wants(self, result: DiagnoseResult) -> bool:
        match self.only:
            case None:
                return True
            case "invalid":
                return not result.valid
            case only:
                return result.verdict == only


def json_lines(diagnosis: Diagnosis, listing: Listing) -> int:
    """Print one result a line, the counts and problems to stderr; return the exit code."""
    write = sys.stdout.write
    for result in listing.of(_watched(diagnosis, as_json=True)):
        if result is not None:
            write(json.dumps(result.as_json()) + "\n")
    sys.stdout.flush()
    report = diagnosis.report()
    say(_headline(report), err=True)
    if report.summary.total:
        say(_leaving(report.summary), err=True)
    for source in report.sources:
        if source.problem:
            say(source.problem.message, err=True)
            say(f"  {source.problem.remedy}", err=True)
    return report.exit_code


def json_object(diagnosis: Diagnosis, listing: Listing, asked: Sequence[str]) -> int:
    """Print one JSON object, the results while they come; return the exit code."""
    write = sys.stdout.write
    write(f'{{"schema_version": "{REPORT_VERSION}",\n "source": {json.dumps(", ".join(asked))},\n')
    write(' "results": [')
    before = "\n  "
    for result in listing.of(_watched(diagnosis, as_json=True)):
        if result is not None:
            write(before + json.dumps(result.as_json()))
            before = ",\n  "
    write("],\n")
    report = diagnosis.report()
    write(f' "summary": {json.dumps(plain(report.summary))},\n')
    write(f' "sources": {json.dumps(plain(report.sources))},\n')
    write(f' "causes": {json.dumps(plain(report.causes))}}}\n')
    sys.stdout.flush()
    return report.exit_code


def text(diagnosis: Diagnosis, listing: Listing, asked: Sequence[str]) -> int:
    """Print the tables a person reads; return the exit code.

    Single events are listed only when `--only` or `--limit` asks for them.
    """
    wanted = listing.only is not None or listing.limit is not None
    most = (_LISTED if listing.limit is None else listing.limit) if wanted else 0
    shown: list[DiagnoseResult] = []
    for result in listing.of(_watched(diagnosis)):
        if result is not None and len(shown) < most:
            shown.append(result)
    report = diagnosis.report()
    out = console()
    base = Path(asked[0])
    if len(report.sources) > 1 or any(each.passed_over for each in report.sources):
        _sources(out, report.sources, base)
    _problems(out, report.sources, base)
    _causes(out, report.causes)
    _events(out, shown, base)
    if wanted and (left := _count(report.summary, listing.only) - len(shown)) > 0:
        out.print(f"… and {left:,} more; --limit N or --json lists them.")
    out.print(visible(_headline(report)))
    if report.summary.total:
        out.print(visible(_leaving(report.summary)))
    for advice in dict.fromkeys(each.advice for each in report.sources if each.advice):
        out.print(visible(advice))
    return report.exit_code


def _folding(*headers: str) -> Table:
    """Return a table that breaks long words instead of cutting them."""
    made = table(*headers)
    for column in made.columns:
        column.overflow = "fold"
    return made


def fix_plan(diagnosis: Diagnosis) -> int:
    """Print what to do, step by step, the step that others wait for first; changes nothing."""
    for _ in _watched(diagnosis):
        pass
    report = diagnosis.report()
    out = console()
    steps = [f"{visible(each.problem.message)}: {each.problem.remedy}"
             for each in report.sources if each.problem]  # fmt: skip
    steps += dict.fromkeys(each.advice for each in report.sources if each.advice)
    for cause in report.causes:
        if cause.severity == "error":
            first = cause.places[0]
            where = f"first: {first.event_id or '(no id)'}, {Path(first.source).name} {first.row}"
            steps.append(f"{cause.events:,} × {cause.code} ({where}): {cause.remedy}")
    for number, step in enumerate(steps, start=1):
        out.print(visible(f"{number}. {step}"), soft_wrap=True)
    out.print(visible(_headline(report)))
    if report.summary.total:
        out.print(visible(_leaving(report.summary)))
    return report.exit_code


def _sources(out: Console, sources: Sequence[SourceReport], base: Path) -> None:
    rows = _folding("source", "#events", "#valid", "#invalid", "#unread", "#settled")
    for each in sources:
        counts = each.summary
        numbers = (counts.total, counts.valid, counts.invalid, counts.unreadable, each.passed_over)
        cells = ("-",) * 5 if each.problem and not counts.total else map(_number, numbers)
        rows.add_row(_short_name(each.source, base), *cells)
    out.print(rows)


def _problems(out: Console, sources: Sequence[SourceReport], base: Path) -> None:
    """Print why sources could not be read; lines are not broken, so that commands can be copied."""
    for each in sources:
        if each.problem:
            reason = each.problem.message.removeprefix(f"{each.source}: ")
            name = _short_name(each.source, base)
            out.print(f" cannot read all of {name}: {visible(reason)}", soft_wrap=True)
            out.print(f"   → {visible(each.problem.remedy)}", soft_wrap=True)
    if any(each.problem for each in sources):
        out.print()


def _causes(out: Console, causes: Sequence[Cause]) -> None:
    from rich.text import Text

    if not causes:
        return
    rows = _folding("#events", "what is wrong, where first, and what helps")
    for each in causes:
        style = "bold red" if each.severity == "error" else "yellow"
        block = Text.assemble((f"{each.severity} {each.code}", style), f": {each.meaning}\n")
        for place in each.places[:_PLACES]:
            block.append(visible(_place(place, each)) + "\n", style="dim")
        if len(each.places) > _PLACES:
            block.append(f"… and {len(each.places) - _PLACES} more places; --json has them\n")
        block.append(f"→ {each.remedy}")
        rows.add_row(_number(each.events), block)
        rows.add_section()
    out.print(rows)


def _place(place: Place, cause: Cause) -> str:
    count = f"{place.events:,} × " if place.events != cause.events else ""
    where = f"{count}{Path(place.source).name} row {place.row}"
    return f"  {where}: {_cut(place.message)}"


def _events(out: Console, shown: Sequence[DiagnoseResult], base: Path) -> None:
    if not shown:
        return
    rows = _folding("event", "where, and what was found")
    rows.columns[0].min_width = _ID_WIDTH
    for each in shown:
        named = (each.event_id or "(no id)", each.event_type or "")
        where = f"{_short_name(each.source, base)} row {each.row}"
        words = [f"{f.severity} {f.code}: {_cut(f.message)}" for f in each.findings]
        rows.add_row(
            "\n".join(visible(_cut(name)) for name in named),
            "\n".join(map(visible, (where, *words))),
        )
    out.print(rows)


def _count(summary: Summary, only: str | None) -> int:
    """Return how many events `--only` chooses."""
    match only:
        case "invalid":
            return summary.invalid + summary.unreadable
        case "warnings":
            return summary.warnings
        case "valid":
            return summary.valid - summary.warnings
        case _:
            return summary.total


def _headline(report: Report) -> str:
    counts = report.summary
    if not report.sources:
        return "Nothing to judge: no journal and no old queue in this home."
    unread = sum(1 for each in report.sources if each.problem)
    parts = [f"{counts.valid:,} valid{_with_warnings(counts)}", f"{counts.invalid:,} invalid"]
    if counts.unreadable:
        parts.append(f"{counts.unreadable:,} unreadable")
    sources = f" in {len(report.sources)} sources" if len(report.sources) > 1 else ""
    tail = f"; {unread} source{'s' * (unread > 1)} could not be read in full" if unread else ""
    return f"{counts.total:,} event{'s' * (counts.total != 1)}{sources}: {', '.join(parts)}{tail}."


def _leaving(counts: Summary) -> str:
    """Say how many can be sent, whatever is thought of them there, and why the others stay."""
    stay = sum(counts.by_hold.values())
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts.by_hold.items())
    tail = f", {stay:,} cannot leave this machine: {reasons}" if stay else ""
    return f"{counts.sendable:,} can be sent{tail}."


def _with_warnings(counts: Summary) -> str:
    return f" ({counts.warnings:,} with warnings)" if counts.warnings else ""


def _number(count: int) -> str:
    return f"{count:,}" if count else "-"


def _short_name(source: str, base: Path) -> str:
    """Return *source* relative to what was asked for, where it lies below."""
    path = Path(source)
    below = path.is_relative_to(base) and path != base
    return visible(str(path.relative_to(base)) if below else source)


def _cut(words: str) -> str:
    return words if len(words) <= _SHORT else words[: _SHORT - 1] + "…"


def _watched(diagnosis: Diagnosis, *, as_json: bool = False) -> Iterator[DiagnoseResult]:
    """Pass the results on, with a progress bar on a terminal once a second has gone by.

    JSON that goes to the same terminal is not broken by a bar.
    """
    results = diagnosis.results()
    if not sys.stderr.isatty() or (sys.stdout.isatty() and as_json):
        yield from results
        return
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        chunk = list(islice(results, _EVERY))
        yield from chunk
        if len(chunk) < _EVERY:
            return
    yield from _with_bar(diagnosis, results)


def _with_bar(diagnosis: Diagnosis, results: Iterator[DiagnoseResult]) -> Iterator[DiagnoseResult]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("judging {task.fields[name]}"), BarColumn(),
        TextColumn("{task.fields[events]:,} events"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(
        *columns,
        console=console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task("", total=None, name="", events=0)
        for count, result in enumerate(results):
            yield result
            if count % _EVERY == 0 and diagnosis.current is not None:
                done, total = diagnosis.current.position or (None, None)
                name = visible(Path(diagnosis.current.name).name)
                events = diagnosis.judged
                bar.update(task, completed=done, total=total, name=name, events=events)
