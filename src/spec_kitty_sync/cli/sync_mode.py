"""`sync mode`, `sync watch`: whether and how events leave by themselves."""

from __future__ import annotations

from pathlib import Path

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render_producing
from spec_kitty_sync.cli.options import home_option, json_option, settings_from
from spec_kitty_sync.cli.values import TEXT


@click.command()
@click.argument("mode", type=TEXT, required=False)
@home_option
@json_option
def mode(mode: str | None, home: Path | None, as_json: bool) -> None:
    """Show the sync mode, or choose another for this machine.

    MODE is TEAMSPACE, EXTERNAL_RECEIVER, LOCAL_RETENTION, OPT_OUT, or auto: whatever target and
    login ask for. SPEC_KITTY_SYNC_MODE and the project's sync.mode are stronger.

    \b
    Examples:
      spec-kitty sync mode
      spec-kitty sync mode LOCAL_RETENTION
    """
    settings = settings_from(home)
    found = api.choose_mode(settings, mode) if mode else api.mode(settings)
    render_producing.mode(found, asked=mode, as_json=as_json)


@click.command()
@home_option
@json_option
def watch(home: Path | None, as_json: bool) -> int:
    """Deliver in the foreground until interrupted: at once, and again when events wait.

    \b
    Example:
      spec-kitty sync watch
    """
    return api.watch(settings_from(home), render_producing.Watching(as_json=as_json))
