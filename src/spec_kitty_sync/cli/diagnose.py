"""`spec-kitty diagnose`: say what is wrong with events, and what helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render_diagnose
from spec_kitty_sync.cli.options import home_option, json_option, settings_from
from spec_kitty_sync.cli.values import MOST, TEXT, Whole
from spec_kitty_sync.diagnose import Rules
from spec_kitty_sync.errors import UsageError

_ONE_FORM = "Give one of --json, --jsonl and --fix-plan."


def _packs(_: click.Context, __: click.Parameter, value: str | None) -> frozenset[str] | None:
    return frozenset(name.strip() for name in value.split(",")) if value else None


@click.command()
@click.argument(
    "paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path, allow_dash=True)
)
@click.option("--strict", is_flag=True, help="Demand the canonical form and the seven lanes.")
@click.option(
    "--packs", type=TEXT, metavar="NAMES", callback=_packs,
    help="Event types to know: core, field or both, with a comma.  [default: all]",
)  # fmt: skip
@click.option(
    "--schemas", metavar="DIR", multiple=True, type=click.Path(path_type=Path),
    help="Know the event types of the JSON Schemas in DIR too.",
)  # fmt: skip
@click.option("--allow-unknown", is_flag=True, help="An unknown event type is only a warning.")
@click.option(
    "--only", type=click.Choice(("invalid", "warnings", "valid")),
    help="List the events of this verdict.",
)  # fmt: skip
@click.option(
    "--limit", metavar="N", type=Whole(0, MOST),
    help="List N events at most; all are counted.",
)  # fmt: skip
@click.option("--fix-plan", is_flag=True, help="Print only what to do, step by step.")
@json_option
@click.option("--jsonl", "as_jsonl", is_flag=True, help="Print one JSON result a line.")
@home_option
def diagnose(
    paths: tuple[Path, ...], home: Path | None, as_json: bool, as_jsonl: bool, **options: Any
) -> int:
    """Judge events and say what is wrong, grouped by cause.

    PATH is a file of events (JSON, JSON Lines, either gzipped), a queue or journal database, a
    home, or - for standard input; it is judged whole. Without PATH: what still waits in the
    home, that is the journal's undelivered events and what old queues hold that is not imported.

    Reads only, and works offline. Ends with 0 when all is valid, 1 when an event is invalid, 3
    when a source could not be read.

    \b
    Examples:
      spec-kitty diagnose
      spec-kitty diagnose ~/.spec-kitty/queue.db --only invalid
      zcat events.jsonl.gz | spec-kitty diagnose - --jsonl --only invalid
    """
    plan = options.pop("fix_plan")
    if as_json + as_jsonl + plan > 1:
        raise UsageError("two forms of output are asked for", remedy=_ONE_FORM)
    settings = settings_from(home)
    listing = render_diagnose.Listing(options.pop("only"), options.pop("limit"))
    schemas = options.pop("schemas")
    diagnosis = api.diagnose(settings, Rules(**options), paths=paths, schema_dirs=schemas)
    asked = tuple(map(str, paths)) or (str(settings.home.root),)
    if plan:
        return render_diagnose.fix_plan(diagnosis)
    if as_jsonl:
        return render_diagnose.json_lines(diagnosis, listing)
    if as_json:
        return render_diagnose.json_object(diagnosis, listing, asked)
    return render_diagnose.text(diagnosis, listing, asked)
