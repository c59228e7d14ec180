"""The doctor's page: plain text for a bug report, without tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync._words import plural
from spec_kitty_sync.cli.render import plain
from spec_kitty_sync.cli.render_error import visible, visible_json
from spec_kitty_sync.cli.render_status import attention_lines, status_lines
from spec_kitty_sync.cli.render_words import wrapped
from spec_kitty_sync.sync.secrecy import masked

if TYPE_CHECKING:
    from spec_kitty_sync.sync.doctor import DoctorReport


def page(report: DoctorReport, secrets: Sequence[str], *, as_json: bool) -> int:
    """Print the page, *secrets* masked, and return its exit code."""
    if as_json:
        document = {**plain(report), "exit_code": report.exit_code}
        text = visible_json(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        text = "\n".join(_lines(report))
    click.echo(masked(text, secrets))
    return report.exit_code


def _lines(report: DoctorReport) -> Iterator[str]:
    environment = report.environment
    yield f"spec-kitty-sync {environment.version}, {report.generated_at}"
    yield f"Python {environment.python}, SQLite {environment.sqlite}, {environment.system}"
    yield f"runs from {environment.executable}; `spec-kitty` is {environment.script or 'not found'}"
    for name, value in environment.variables.items():
        yield visible(f"{name}={value}")
    yield from _heading("status")
    if report.status is not None:
        yield from status_lines(report.status)
    if report.problem is not None:
        yield from attention_lines(report.problem)
    yield from _heading("checks")
    for finding in report.findings:
        yield wrapped(
            visible(finding.message), indent=4, first="  ! " if finding.remedy else "  · "
        )
        if finding.remedy:
            yield wrapped(visible(finding.remedy), indent=6, first="    → ")
    if not any(finding.remedy for finding in report.findings):
        looked = "permissions" if report.problem else "counts, permissions"
        yield f"  {looked} and installation are as they should be"
    yield from _heading("undelivered events")
    yield from _diagnosis(report)
    yield from _heading("what `sync now` would do")
    yield from _next(report)
    yield from _heading("last answers")
    yield from _log(report)


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield f"── {text} ".ljust(60, "─")


def _diagnosis(report: DoctorReport) -> Iterator[str]:
    found = report.diagnosis
    if found is None:
        yield "  they could not be read"
        return
    summary = found.summary
    unread = [source for source in found.sources if source.problem is not None]
    if summary.total or not unread:
        yield (
            f"  {plural(summary.total, 'event')}: {summary.valid} valid, "
            f"{summary.invalid} invalid, {summary.unreadable} unreadable"
        )
    for cause in found.causes[:5]:
        yield wrapped(
            visible(f"{cause.events} {cause.code}: {cause.meaning}"), indent=4, first="  - "
        )
    for source in unread:
        said = source.problem.message if source.problem else ""
        named = said if said.startswith(source.source) else f"{source.source}: {said}"
        yield wrapped(visible(named), indent=4, first="  ! ")


def _next(report: DoctorReport) -> Iterator[str]:
    if report.problem is not None and report.refusal == report.problem:
        yield "  nothing: it would be refused for the same reason"
    elif report.refusal is not None:
        yield from attention_lines(report.refusal)
    elif report.next is not None:
        yield f"  send {plural(report.next.would_send, 'event')} to {report.next.endpoint}"


def _log(report: DoctorReport) -> Iterator[str]:
    if not report.log:
        yield "  they could not be read" if report.problem else "  nothing was sent yet"
    for each in report.log:
        settled = each.delivered + each.duplicates
        yield wrapped(
            f"{utc_iso(each.at)} target {each.target_id}, answer {each.http_status or 'none'}: "
            f"{plural(each.events, 'event')}, {settled} delivered, {each.rejected} rejected",
            indent=4,
            first="  ",
        )
