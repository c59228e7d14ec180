"""`spec-kitty conformance …`: judge a receiver, read its report, test the suite itself."""

from __future__ import annotations

import sys

import click


@click.group()
def conformance() -> None:
    """Prove that a receiver keeps the contract."""


@conformance.command()
@click.argument("url")
@click.option("--token-env", metavar="NAME", help="Environment variable that holds the token.")
@click.option("--token", metavar="T", help="The token itself; the process list shows it.")
@click.option("--profile", help="first-light, core, extended, hardened or soak.")
@click.option("--capabilities", help="Comma-separated list, or a TOML file.")
@click.option("--only", help="Comma-separated check ids.")
@click.option("--report", metavar="DIR", help="Where reports and replay capsules go.")
@click.option("--seed", help="Repeat a run.")
@click.option("--deadline", help="Seconds to wait for one answer.")
@click.option("--rate", help="Requests per second at most.")
@click.option("--baseline", metavar="FILE", help="Known failures with reason and expiry.")
@click.option("--workers", "-n", help="Run on that many processes (needs pytest-xdist).")
@click.option("--plan", is_flag=True, help="Show what would be sent, send nothing.")
@click.option("--list", "list", is_flag=True, help="List the checks, send nothing.")
@click.option("--allow-production", is_flag=True, help="Also judge a production server.")
def receiver(url: str, token: str | None, workers: str | None, **chosen: str | bool | None) -> None:
    """Judge the receiver at URL, apart from any pytest configuration of this folder."""
    from spec_kitty_sync.conformance.isolated import run_isolated

    options = {name.replace("_", "-"): value for name, value in chosen.items()}
    sys.exit(run_isolated(url, token=token, workers=workers, options=options))
