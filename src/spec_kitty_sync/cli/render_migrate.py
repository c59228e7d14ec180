"""What `sync migrate …` prints: tables for people, one JSON object for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spec_kitty_sync.cli.render import console, print_json, say, table
from spec_kitty_sync.cli.render_error import visible

if TYPE_CHECKING:
    from spec_kitty_sync.sync.migrate_cleanup import CleanupReport
    from spec_kitty_sync.sync.migrate_conflicts import Conflict, Resolution
    from spec_kitty_sync.sync.migrate_quarantine import QuarantinedRow
    from spec_kitty_sync.sync.migrate_report import MigrationReport
    from spec_kitty_sync.sync.migrate_sources import KnownSource

Keep = Literal["journal", "source"]
_SHOWN = 2_000


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Yield a function (source, rows read) that shows where a migration is, on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda name, rows: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def move(name: str, rows: int) -> None:
            bar.update(task, description=f"{visible(Path(name).name)}: {rows} rows")

        yield move


def migration(report: MigrationReport, cleaned: CleanupReport | None, *, as_json: bool) -> int:
    """Print what was imported, source by source, and return the exit code."""
    codes = {report.exit_code, cleaned.exit_code if cleaned else 0}
    if as_json:
        extra = {"cleanup": cleaned.to_json()} if cleaned else {}
        print_json({**report.to_json(), **extra})
        return max(codes)
    if report.sources:
        _sources_table(report)
    verb = "would be imported" if report.dry_run else "imported"
    say(
        f"{report.imported} {verb}, {report.duplicates} known already, "
        f"{report.conflicts} in conflict, {report.quarantined} quarantined"
    )
    for source in report.sources:
        if source.reason:
            say(f"  {_name(source.path)}: {source.reason}")
            if source.remedy:
                say(f"    {source.remedy}")
    _next_steps(report)
    for note in report.notes:
        console().print(visible(note))
    if cleaned is not None:
        _cleaned(cleaned)
    return max(codes)


def _sources_table(report: MigrationReport) -> None:
    made = table("source", "outcome", "#rows", "#new", "#known", "#conflicts", "#bad")
    made.columns[0].overflow = "fold"
    for source in report.sources:
        made.add_row(
            _name(source.path),
            source.outcome.value,
            *(
                str(count)
                for count in (
                    source.rows,
                    source.imported,
                    source.duplicates,
                    source.conflicts,
                    source.quarantined,
                )
            ),
        )
    console().print(made)


def _next_steps(report: MigrationReport) -> None:
    if report.conflicts:
        say("Run `spec-kitty sync migrate conflicts list`; every other event flows meanwhile.")
    if report.quarantined:
        say("Run `spec-kitty sync migrate quarantine list`; nothing of these rows was dropped.")


def _cleaned(cleaned: CleanupReport) -> None:
    say(f"{cleaned.deleted} rows taken out of old queues")
    for source in cleaned.sources:
        text = f"  {_name(source.path)}: {source.outcome}, {source.deleted} deleted"
        say(f"{text}, {source.left} left{f' ({source.reason})' if source.reason else ''}")
        if source.backup:
            say(f"    backup: {source.backup}")
        if source.remedy:
            say(f"    {source.remedy}")


def _name(path: str) -> str:
    """Return as much of *path* as tells the sources of one home apart."""
    parts = Path(path).parts[-3:]
    known = len(parts) < 3 or parts[-2] in ("queues", "event_journal") or parts[-1] == "queue.db"
    return visible(parts[-1] if known else "/".join(parts))


def conflicts(found: Sequence[Conflict], *, as_json: bool) -> int:
    """Print every open conflict; exit code 1 while there is one."""
    if as_json:
        print_json({"count": len(found), "conflicts": [_conflict_json(c) for c in found]})
    elif not found:
        say("no conflicts")
    else:
        made = table("event", "class", "other contents", "differs at")
        made.columns[0].no_wrap = True
        for each in found:
            differing = {d.pointer or "/" for v in each.variants for d in each.differences(v)}
            made.add_row(
                visible(each.event_id),
                each.kind,
                ", ".join(f"{v.id}: {_name(v.source)} row {v.row}" for v in each.variants),
                visible(", ".join(sorted(differing))),
            )
        console().print(made)
        first, command = found[0].event_id, "spec-kitty sync migrate conflicts"
        name = first if first.isascii() and first.isalnum() else found[0].variants[0].id
        say(f"Run `{command} show {name}` to see both sides, then")
        say(f"`{command} resolve {name} --keep journal`, or `--keep source`.")
    return 1 if found else 0


def _conflict_json(each: Conflict) -> dict[str, Any]:
    return {
        "event_id": each.event_id,
        "class": each.kind,
        "sent": each.sent,
        "journal": _text(each.journal),
        "variants": [
            {
                "id": variant.id,
                "source": variant.source,
                "row": variant.row,
                "class": variant.kind,
                "body": _text(variant.body),
                "differences": [
                    {"pointer": d.pointer, "journal": d.journal, "source": d.source}
                    for d in each.differences(variant)
                ],
            }
            for variant in each.variants
        ],
    }


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "backslashreplace")


def conflict(each: Conflict, *, as_json: bool) -> int:
    """Print one conflict, the differing places side by side."""
    if as_json:
        print_json(_conflict_json(each))
        return 1
    say(f"{each.event_id} ({each.kind}){', sent already' if each.sent else ''}")
    for variant in each.variants:
        made = table("differs at", "journal", f"{variant.id}: {_name(variant.source)}")
        for place in each.differences(variant):
            made.add_row(
                visible(place.pointer or "/"),
                visible((place.journal or "(absent)")[:_SHOWN]),
                visible((place.source or "(absent)")[:_SHOWN]),
            )
        console().print(made)
    return 1


def resolutions(done: Sequence[Resolution], *, as_json: bool) -> int:
    """Print how each conflict was decided; exit code 1 if one is still open."""
    if as_json:
        print_json({"resolved": done})
    else:
        for each in done:
            if each.refused is None:
                say(f"{each.event_id}: kept {each.kept}")
            else:
                say(f"{each.event_id}: still open: {each.refused}")
                say(f"  {each.remedy}")
        say(f"{sum(each.refused is None for each in done)} resolved")
    return 1 if any(each.refused for each in done) else 0


def quarantined(rows: Sequence[QuarantinedRow], *, as_json: bool) -> int:
    """Print every open row; exit code 1 while there is one."""
    if as_json:
        print_json({"count": len(rows), "rows": rows})
    elif not rows:
        say("nothing in quarantine")
    else:
        made = table("#number", "source", "#row", "reason", "detail")
        for row in rows:
            made.add_row(
                str(row.id), _name(row.source), str(row.row), row.reason, visible(row.detail)
            )
        console().print(made)
        say("Run `spec-kitty sync migrate quarantine export FILE` to mend them elsewhere, or")
        say("`spec-kitty sync migrate quarantine accept --all --reason TEXT`.")
    return 1 if rows else 0


def quarantined_row(row: QuarantinedRow, body: bytes | None, *, as_json: bool) -> int:
    """Print one row and its bytes, control characters made visible."""
    if as_json:
        print_json({"row": row, "body": _text(body)})
        return 0
    say(f"{row.id}: {_name(row.source)} row {row.row}: {row.reason}: {row.detail}")
    say("(no bytes)" if body is None else (_text(body) or "")[:_SHOWN])
    return 0


def counted(verb: str, count: int, *, as_json: bool) -> int:
    """Print how many rows an action took."""
    if as_json:
        print_json({verb: count})
    else:
        say(f"{count} rows {verb}")
    return 0


def sources(found: Sequence[KnownSource], *, as_json: bool) -> int:
    """Print the known sources."""
    if as_json:
        print_json({"sources": found})
    elif not found:
        say("this home has no legacy sources")
    else:
        made = table("source", "outcome", "#rows", "belongs to", "note")
        for source in found:
            note = f"ignored: {source.ignored}" if source.ignored else source.problem or ""
            made.add_row(
                _name(source.path),
                source.outcome or "not read",
                str(source.rows),
                visible(source.scope or "unknown"),
                visible(note),
            )
        console().print(made)
    return 0
