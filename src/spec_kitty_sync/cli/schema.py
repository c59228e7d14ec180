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
@click.option(
    "--schemas", "schema_dirs", multiple=True, metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write the types of this folder too (may be given more than once).",
)  # fmt: skip
@click.option("--installed", is_flag=True, help="Write the types of installed packages too.")
@json_option
def export(
    folder: Path, check: bool, schema_dirs: tuple[Path, ...], installed: bool, as_json: bool
) -> int:
    """Write every schema below FOLDER (default: schemas), or compare what stands there.

    \b
    Examples:
      spec-kitty schema export
      spec-kitty schema export schemas --check
      spec-kitty schema export all-schemas --schemas event-types --installed
    """
    from spec_kitty_sync.api.schemas import export_to

    exported = export_to(folder, check=check, schema_dirs=schema_dirs, installed=installed)
    return render_schema.exported(exported, as_json=as_json)
