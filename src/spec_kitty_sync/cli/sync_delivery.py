"""`sync server`, `sync now`: parse, call, render."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render
from spec_kitty_sync.cli.options import home_option, json_option, settings_from
from spec_kitty_sync.cli.values import LIMIT, TEXT, Seconds
from spec_kitty_sync.sync.config import Settings


@click.command()
@click.argument("url", type=TEXT, required=False)
@click.option(
    "--token-env", type=TEXT, metavar="NAME", help="Environment variable that holds the token."
)
@click.option("--no-token-env", is_flag=True, help="Go by the login again.")
@click.option("--allow-http", is_flag=True, help="Allow plain http to another machine.")
@click.option(
    "--ca-file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust the authority whose certificate (PEM) is in FILE, for this server only.",
)  # fmt: skip
@home_option
@json_option
def server(url: str | None, home: Path | None, as_json: bool, **choices: Any) -> None:
    """Show the server events go to, or choose another.

    \b
    Examples:
      spec-kitty sync server
      spec-kitty sync server https://sync.example.org
      spec-kitty sync server http://127.0.0.1:8000 --token-env MY_TOKEN
      spec-kitty sync server https://sync.corp.example --ca-file corp-ca.pem
    """
    settings = settings_from(home)
    if url is None:
        render.target(api.target(settings), as_json=as_json)
        return
    before = api.configured_server(settings)
    chosen = api.choose_server(settings, url, **choices)
    render.target(chosen, before=before, as_json=as_json)


@click.command()
@click.option("--limit", metavar="N", type=LIMIT, help="Send at most N events.")
@click.option(
    "--target", type=TEXT, metavar="TARGET",
    help="Deliver to this one in this run: a number of `sync targets list`, or an address.",
)  # fmt: skip
@click.option(
    "--include-team", type=TEXT, metavar="TEAM", help="Send events of this other team too; audited."
)
@click.option("--redeliver", is_flag=True, help="Send everything once more, from the beginning.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option(
    "--wait", "wait_s", metavar="SECONDS", type=Seconds(0, 3600),
    help="How long to wait for a busy server, in all.  [default: 30]",
)  # fmt: skip
@click.option(
    "--report", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write everything that failed to FILE, as JSON.",
)  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show all reasons, and requests and bytes.")
@home_option
@json_option
def now(
    target: str | None,
    dry_run: bool,
    report: Path | None,
    verbose: bool,
    home: Path | None,
    as_json: bool,
    **choices: object,
) -> int:
    """Deliver every event that may leave this machine.

    Ctrl-C stops after the answer that is on its way; what was recorded stays. Ends with 0 when
    nothing is left to do, 1 when something was rejected, not sent, or waits in old queues, 2 when
    it was refused before anything was sent.

    \b
    Examples:
      spec-kitty sync now
      spec-kitty sync now --dry-run
      spec-kitty sync now --limit 500 --report failures.json
      spec-kitty sync now --redeliver --target https://preview.example.org
    """
    from spec_kitty_sync.cli import render_sync
    from spec_kitty_sync.cli.stopping import stop_on_signals
    from spec_kitty_sync.sync.delivering import DrainChoices

    settings = settings_from(home)
    if target is not None:
        settings = api.for_target(settings, target)
    chosen = DrainChoices(**choices)  # type: ignore[arg-type]  # click has checked them
    if dry_run:
        preview = api.preview(settings, limit=chosen.limit, redeliver=chosen.redeliver)
        return render_sync.preview(preview, as_json=as_json)
    if chosen.redeliver:
        render_sync.redelivery(api.preview(settings, redeliver=True))
    expected, silence = (0, "") if as_json else _announce(settings, chosen.limit)
    bar = render.progress(quiet=as_json, expected=expected, silence=silence)
    with stop_on_signals() as stop, bar as watch:
        result = api.deliver(settings, chosen, report=report, watch=watch, stop=stop)
    code = stop.exit_code(result.exit_code)
    result = replace(result, target=target)
    return render_sync.delivery(
        result, report=report, verbose=verbose, as_json=as_json, exit_code=code
    )


def _announce(settings: Settings, limit: int | None) -> tuple[int, str]:
    """Say at a terminal what is about to go where; return how many events a bar has to reach,
    and what to say while the server is silent.
    """
    if not render.watched():
        return 0, ""
    from spec_kitty_sync._http import DEFAULT_DEADLINE_S
    from spec_kitty_sync.cli import render_sync

    report = api.status(settings)
    expected = report.total_pending if limit is None else min(report.total_pending, limit)
    url = report.target_authority.resolved_server_url
    if url is None or report.auth.blocked:
        return expected, ""
    render_sync.announced(expected, url)
    limit_s = f"{DEFAULT_DEADLINE_S:.0f} s"
    return expected, f"waiting for an answer of {url} (up to {limit_s} for each request)"
