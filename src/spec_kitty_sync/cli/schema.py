"""`spec-kitty schema`: the contract as JSON Schema."""

from __future__ import annotations

from pathlib import Path

import click

from spec_kitty_sync.cli import render_schema
from spec_kitty_sync.cli.options import json_option


@click.group()
def schema() -> None:
    """Write the JSON Schemas of events, payloads, wire and reports.

    \b
    Example:
      spec-kitty schema export schemas/
    """


@schema.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="schemas")
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if a file differs.")
@json_option
def export(folder: Path, check: bool, as_json: bool) -> int:
    """Write every schema below FOLDER (default: schemas), or compare what stands there.

    \b
    Examples:
      spec-kitty schema export
      spec-kitty schema export schemas --check
    """
    from spec_kitty_sync.api.schemas import export_to

    return render_schema.exported(export_to(folder, check=check), as_json=as_json)
