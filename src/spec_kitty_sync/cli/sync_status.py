"""`sync status`: parse, call, render; loads little, because it is asked often."""

from __future__ import annotations

from pathlib import Path

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli.options import home_option, json_option, settings_from


@click.command()
@click.option("--check", is_flag=True, help="Ask the server too; end with 3 on anything to mend.")
@home_option
@json_option
def status(check: bool, home: Path | None, as_json: bool) -> int:
    """Say what is delivered, what waits, and why.

    Reads only, and asks no server without --check. With --check it ends with 3 when something
    needs attention, and says for each thing which command clears it.

    \b
    Examples:
      spec-kitty sync status
      spec-kitty sync status --check || mail -s "sync needs a look" me
      spec-kitty sync status --json
    """
    from spec_kitty_sync.cli import render_status

    report = api.status(settings_from(home), check=check)
    return render_status.status(report, as_json=as_json)
