"""`sync doctor`: everything for a bug report on one page."""

from __future__ import annotations

from pathlib import Path

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render_doctor
from spec_kitty_sync.cli.options import home_option, json_option, settings_from


@click.command()
@home_option
@json_option
def doctor(home: Path | None, as_json: bool) -> int:
    """Look at everything and print one page for a bug report; tokens are masked.

    Asks the server, changes nothing. Ends with 3 when something needs attention.

    \b
    Examples:
      spec-kitty sync doctor
      spec-kitty sync doctor --json > report.json
    """
    from spec_kitty_sync.sync.secrecy import secrets_of

    settings = settings_from(home)
    return render_doctor.page(api.doctor(settings), secrets_of(settings), as_json=as_json)
