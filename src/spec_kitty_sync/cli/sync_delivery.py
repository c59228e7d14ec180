"""`sync server`, `sync now`: parse, call, render."""

from __future__ import annotations

from pathlib import Path

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render, render_sync
from spec_kitty_sync.cli.options import home_option, json_option, settings_from


@click.command()
@click.argument("url", required=False)
@click.option("--token-env", metavar="NAME", help="Environment variable that holds the token.")
@home_option
@json_option
def server(url: str | None, token_env: str | None, home: Path | None, as_json: bool) -> None:
    """Show the server events go to, or choose another.

    \b
    Examples:
      spec-kitty sync server
      spec-kitty sync server http://127.0.0.1:8000 --token-env MY_TOKEN
    """
    settings = settings_from(home)
    target = api.choose_server(settings, url, token_env=token_env) if url else api.target(settings)
    render.target(target, as_json=as_json)


@click.command()
@click.option("--limit", type=click.IntRange(min=1), help="Send at most this many events.")
@home_option
@json_option
def now(limit: int | None, home: Path | None, as_json: bool) -> int:
    """Deliver every event that may leave this machine.

    \b
    Examples:
      spec-kitty sync now
      spec-kitty sync now --limit 500 --json
    """
    settings = settings_from(home)
    with render.progress(quiet=as_json) as watch:
        result = api.deliver(settings, limit=limit, watch=watch)
    return render_sync.delivery(result, as_json=as_json)
