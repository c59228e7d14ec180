"""`sync gc`, `archive`, `export`, `verify`, `backup`, `restore`: what is kept, and the ways out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render_keep
from spec_kitty_sync.cli.confirming import confirm, may_ask
from spec_kitty_sync.cli.options import home_option, json_option, settings_from
from spec_kitty_sync.cli.values import TEXT, short

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"([0-9]{1,12})\s*([smhdw])")
_OLDEST_S = 36_525 * 86_400.0


def _seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    match = _AGE.fullmatch(value.strip().lower())
    if match is None:
        raise click.BadParameter(f"{short(value)} is no age; as 30d, 12h or 90m", ctx, param)
    seconds = float(int(match[1]) * _UNITS[match[2]])
    if seconds > _OLDEST_S:
        raise click.BadParameter(f"{short(value)} is more than 100 years", ctx, param)
    return seconds


_older_than = click.option(
    "--older-than", "older_than_s", metavar="AGE", type=TEXT, callback=_seconds,
    help="Only what was appended longer ago than this, as 30d or 12h.",
)  # fmt: skip
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@click.option(
    "--local-only", "named", flag_value="local_only", multiple=True,
    help="Take events that never leave this machine instead.",
)  # fmt: skip
@click.option(
    "--superseded", "named", flag_value="superseded", multiple=True,
    help="Take events that a newer one replaced instead.",
)  # fmt: skip
@click.option(
    "--dead", "named", flag_value="dead", multiple=True,
    help="Take events that were refused for good instead.",
)  # fmt: skip
@_older_than
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--vacuum", is_flag=True, help="Give the freed space back to the disk.")
@_yes
@home_option
@json_option
def gc(
    named: tuple[str, ...],
    older_than_s: float | None,
    dry_run: bool,
    vacuum: bool,
    yes: bool,
    home: Path | None,
    as_json: bool,
) -> int:
    """Remove the bytes of events that every active target has. Row, id and hash stay.

    Says what would go, and removes it only after a yes: at the terminal, or with --yes. Events
    that stay here, were replaced, or were refused for good go only when they are named.

    \b
    Examples:
      spec-kitty sync gc
      spec-kitty sync gc --older-than 30d --yes --vacuum
      spec-kitty sync gc --local-only --older-than 52w --yes
    """
    settings = settings_from(home)
    reasons = named or ("delivered",)
    preview = api.gc(settings, reasons, older_than_s=older_than_s)
    if dry_run or not (yes or (may_ask() and not as_json)) or not (preview.events or vacuum):
        return render_keep.gc(preview, as_json=as_json)
    if not yes:
        render_keep.gc(preview, as_json=False)
        confirm("Remove these bytes for good?", yes=False)
    done = api.gc(settings, reasons, older_than_s=older_than_s, dry_run=False, vacuum=vacuum)
    return render_keep.gc(done, as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_older_than
@_yes
@home_option
@json_option
def archive(
    file: Path, older_than_s: float | None, yes: bool, home: Path | None, as_json: bool
) -> int:
    """Write what gc would take to FILE (JSON Lines, gzip), check it, then remove the bytes.

    \b
    Example:
      spec-kitty sync archive events-2026.jsonl.gz --older-than 90d --yes
    """
    settings = settings_from(home)
    if not yes:
        render_keep.before_archive(api.gc(settings, older_than_s=older_than_s))
    confirm(f"Move these events to {file}?", yes=yes)
    done = api.archive(settings, file, older_than_s=older_than_s)
    return render_keep.archived(done, as_json=as_json)


@click.command()
@click.option(
    "--jsonl", "file", required=True, metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Where to write; - is standard output.",
)  # fmt: skip
@home_option
def export(file: Path, home: Path | None) -> int:
    """Write every event as it is stored, one to a line, held and parked ones too.

    \b
    Examples:
      spec-kitty sync export --jsonl everything.jsonl
      spec-kitty sync export --jsonl - | jq -c 'select(.event_type == "WPCreated")'
    """
    settings = settings_from(home)
    out = sys.stdout.buffer if str(file) == "-" else None
    return render_keep.exported(api.export(settings, file, out=out))


@click.command()
@home_option
@json_option
def verify(home: Path | None, as_json: bool) -> int:
    """Compare every stored event with its hash, and recount what is counted.

    Ends with 3 when something is damaged.

    \b
    Example:
      spec-kitty sync verify
    """
    return render_keep.verified(api.verify(settings_from(home)), as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@home_option
@json_option
def backup(file: Path, home: Path | None, as_json: bool) -> int:
    """Copy the journal to FILE, consistent and verified, while others may write.

    \b
    Example:
      spec-kitty sync backup ~/backups/journal-2026-02-12.db
    """
    return render_keep.backed_up(api.back_up(settings_from(home), file), as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@_yes
@home_option
@json_option
def restore(file: Path, yes: bool, home: Path | None, as_json: bool) -> int:
    """Put the backup FILE in place of the journal.

    Events that are newer than the backup are kept where the present journal can be read, and a
    copy of it is set aside. Every target is delivered to anew, under the same ids.

    \b
    Example:
      spec-kitty sync restore ~/backups/journal-2026-02-12.db --yes
    """
    confirm(f"Put {file} in place of the journal?", yes=yes)
    return render_keep.restored(api.restore(settings_from(home), file), as_json=as_json)
