"""`sync targets …`: where events were and are delivered to."""

from __future__ import annotations

from pathlib import Path

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render_keep
from spec_kitty_sync.cli.options import home_option, json_option, settings_from
from spec_kitty_sync.cli.values import TEXT


@click.group()
def targets() -> None:
    """Where events were and are delivered to: list, retire, take into use again.

    \b
    Examples:
      spec-kitty sync targets list
      spec-kitty sync targets retire 2
    """


@targets.command("list")
@home_option
@json_option
def list_targets(home: Path | None, as_json: bool) -> int:
    """List every target, and how many events each has.

    \b
    Example:
      spec-kitty sync targets list --json
    """
    return render_keep.targets(api.targets(settings_from(home)), as_json=as_json)


@targets.command("show")
@click.argument("target", type=TEXT, metavar="TARGET")
@home_option
@json_option
def show_target(target: str, home: Path | None, as_json: bool) -> int:
    """Show one target, by number or address, with every deployment seen behind it.

    \b
    Example:
      spec-kitty sync targets show 1
    """
    return render_keep.target(api.show_target(settings_from(home), target), as_json=as_json)


@targets.command("retire")
@click.argument("target", type=TEXT, metavar="TARGET")
@home_option
@json_option
def retire_target(target: str, home: Path | None, as_json: bool) -> int:
    """Take a target out of use: its history stays, nothing is sent, gc does not wait for it.

    What was sent to it without an answer counts as given up: such an event may be corrected.

    \b
    Example:
      spec-kitty sync targets retire https://preview.example.org
    """
    done = api.set_target_active(settings_from(home), target, active=False)
    return render_keep.target_changed(done, as_json=as_json)


@targets.command("confirm")
@click.argument("target", type=TEXT, metavar="TARGET")
@home_option
@json_option
def confirm_target(target: str, home: Path | None, as_json: bool) -> int:
    """Say that a server which answers as another deployment still has what was delivered.

    Where its data is gone, `spec-kitty sync now --redeliver` sends everything again instead.

    \b
    Example:
      spec-kitty sync targets confirm 1
    """
    done = api.confirm_target(settings_from(home), target)
    return render_keep.target_confirmed(done, as_json=as_json)


@targets.command("restore")
@click.argument("target", type=TEXT, metavar="TARGET")
@home_option
@json_option
def restore_target(target: str, home: Path | None, as_json: bool) -> int:
    """Take a retired target into use again; it goes on where it stood.

    \b
    Example:
      spec-kitty sync targets restore 2
    """
    done = api.set_target_active(settings_from(home), target, active=True)
    return render_keep.target_changed(done, as_json=as_json)
