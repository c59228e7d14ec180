"""`sync migrate …`: bring old queues in, and decide what could not come as it stood."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from spec_kitty_sync import api_migration as api
from spec_kitty_sync.cli import render_migrate
from spec_kitty_sync.cli.options import home_option, json_option, settings_from
from spec_kitty_sync.cli.values import TEXT, WHOLE
from spec_kitty_sync.errors import UsageError

_reason = click.option("--reason", type=TEXT, default="", help="Why; kept in the audit.")
_path = click.argument("path", type=click.Path(path_type=Path))


@click.group(invoke_without_command=True)
@click.option(
    "--from",
    "extra",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Another database, JSON Lines file or home to import too.",
)
@click.option(
    "--scope",
    "scopes",
    type=TEXT,
    multiple=True,
    metavar="SERVER,USER,TEAM",
    help="A combination whose queue may be here; only names it, filters nothing.",
)
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@click.option(
    "--cleanup",
    "clean",
    is_flag=True,
    help="Afterwards delete from old queues the rows that the journal holds.",
)
@click.option("--yes", is_flag=True, help="Clean up without asking.")
@home_option
@json_option
@click.pass_context
def migrate(
    ctx: click.Context,
    extra: tuple[Path, ...],
    scopes: tuple[str, ...],
    dry_run: bool,
    clean: bool,
    yes: bool,
    home: Path | None,
    as_json: bool,
) -> int | None:
    """Import the queues that older versions left behind. They stay as they are.

    \b
    Examples:
      spec-kitty sync migrate --dry-run
      spec-kitty sync migrate
      spec-kitty sync migrate --from /backup/queue.db
      spec-kitty sync migrate conflicts list
    """
    if ctx.invoked_subcommand is not None:
        return None
    if clean and dry_run:
        raise UsageError("--cleanup and --dry-run exclude each other", remedy="Give one of them.")
    settings = settings_from(home)
    if clean and not yes:
        _confirm("Delete imported rows from the old queues (each is backed up first)?")
    with render_migrate.progress(quiet=as_json) as watch:
        report = api.migrate(settings, extra=extra, scopes=scopes, dry_run=dry_run, watch=watch)
    cleaned = api.clean_queues(settings, extra=extra) if clean else None
    return render_migrate.migration(report, cleaned, as_json=as_json)


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("--cleanup needs a confirmation", remedy="Add `--yes`.")
    click.confirm(question, abort=True, err=True)


@migrate.group()
def conflicts() -> None:
    """Ids whose content differs between sources.

    \b
    Examples:
      spec-kitty sync migrate conflicts list
      spec-kitty sync migrate conflicts resolve EVENT_ID --keep journal
    """


@conflicts.command("list")
@home_option
@json_option
def list_conflicts(home: Path | None, as_json: bool) -> int:
    """Show every id in conflict.

    \b
    Example:
      spec-kitty sync migrate conflicts list --json
    """
    return render_migrate.conflicts(api.conflicts(settings_from(home)), as_json=as_json)


@conflicts.command("show")
@click.argument("event_id", type=TEXT)
@home_option
@json_option
def show_conflict(event_id: str, home: Path | None, as_json: bool) -> int:
    """Show the contents of one id side by side.

    \b
    Example:
      spec-kitty sync migrate conflicts show EVENT_ID
    """
    found = api.conflict(settings_from(home), event_id)
    return render_migrate.conflict(found, as_json=as_json)


@conflicts.command("resolve")
@click.argument("event_id", type=TEXT, required=False)
@click.option("--keep", type=click.Choice(["journal", "source"]), required=True)
@click.option("--all", "every", is_flag=True, help="Every open conflict.")
@click.option(
    "--class", "kind", type=click.Choice(["divergent", "volatile"]), help="With --all: only these."
)
@_reason
@home_option
@json_option
def resolve_conflict(
    event_id: str | None,
    keep: str,
    every: bool,
    kind: str | None,
    reason: str,
    home: Path | None,
    as_json: bool,
) -> int:
    """Decide whose content stays.

    \b
    Examples:
      spec-kitty sync migrate conflicts resolve 01HX… --keep journal
      spec-kitty sync migrate conflicts resolve --all --class volatile --keep journal
    """
    if every == (event_id is not None):
        raise UsageError("name one id, or --all", remedy="Give an EVENT_ID or `--all`, not both.")
    side: render_migrate.Keep = "source" if keep == "source" else "journal"
    done = api.resolve_conflicts(settings_from(home), event_id, keep=side, kind=kind, reason=reason)
    return render_migrate.resolutions(done, as_json=as_json)


@migrate.group()
def quarantine() -> None:
    """Rows that cannot become events; their bytes are kept.

    \b
    Examples:
      spec-kitty sync migrate quarantine list
      spec-kitty sync migrate quarantine export rows.jsonl
    """


@quarantine.command("list")
@home_option
@json_option
def list_quarantine(home: Path | None, as_json: bool) -> int:
    """Show every row that waits for a decision.

    \b
    Example:
      spec-kitty sync migrate quarantine list --json
    """
    return render_migrate.quarantined(api.quarantine(settings_from(home)), as_json=as_json)


@quarantine.command("show")
@click.argument("number", type=WHOLE)
@home_option
@json_option
def show_quarantine(number: int, home: Path | None, as_json: bool) -> int:
    """Show one row with its bytes.

    \b
    Example:
      spec-kitty sync migrate quarantine show 1
    """
    row, body = api.quarantined_row(settings_from(home), number)
    return render_migrate.quarantined_row(row, body, as_json=as_json)


@quarantine.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@home_option
@json_option
def export_quarantine(file: Path, home: Path | None, as_json: bool) -> int:
    """Write the open rows to FILE, one JSON object a line, bytes in base64.

    \b
    Example:
      spec-kitty sync migrate quarantine export rows.jsonl
    """
    count = api.export_quarantine(settings_from(home), file)
    return render_migrate.counted("exported", count, as_json=as_json)


@quarantine.command("accept")
@click.argument("numbers", type=WHOLE, nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every open row.")
@_reason
@home_option
@json_option
def accept_quarantine(
    numbers: tuple[int, ...], every: bool, reason: str, home: Path | None, as_json: bool
) -> int:
    """Take note that rows will not be imported. Their bytes stay in the journal's database.

    \b
    Example:
      spec-kitty sync migrate quarantine accept 1 --reason "test data"
    """
    if every == bool(numbers):
        raise UsageError("name rows, or --all", remedy="Give NUMBERS or `--all`, not both.")
    count = api.accept_quarantine(settings_from(home), None if every else numbers, reason=reason)
    return render_migrate.counted("accepted", count, as_json=as_json)


@migrate.group()
def sources() -> None:
    """The databases and files that events may come from.

    \b
    Examples:
      spec-kitty sync migrate sources list
      spec-kitty sync migrate sources ignore PATH --reason "a copy"
    """


@sources.command("list")
@home_option
@json_option
def sources_list(home: Path | None, as_json: bool) -> int:
    """Show every source, what became of it, and which are ignored.

    \b
    Example:
      spec-kitty sync migrate sources list --json
    """
    return render_migrate.sources(api.legacy_sources(settings_from(home)), as_json=as_json)


@sources.command("ignore")
@_path
@_reason
@home_option
@json_option
def sources_ignore(path: Path, reason: str, home: Path | None, as_json: bool) -> int:
    """Leave a source alone until its bytes change.

    \b
    Example:
      spec-kitty sync migrate sources ignore ~/.spec-kitty/queues/copy.db --reason "a copy"
    """
    found = api.ignore_source(settings_from(home), path, reason=reason)
    return render_migrate.sources((found,), as_json=as_json)


@sources.command("unignore")
@_path
@home_option
@json_option
def sources_unignore(path: Path, home: Path | None, as_json: bool) -> int:
    """Read a source again from the next migration on.

    \b
    Example:
      spec-kitty sync migrate sources unignore ~/.spec-kitty/queues/copy.db
    """
    found = api.unignore_source(settings_from(home), path)
    return render_migrate.sources((found,), as_json=as_json)
