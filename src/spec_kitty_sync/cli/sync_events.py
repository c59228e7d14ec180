"""`sync show`, `retry`, `replace`, `discard`, `log`: single events and what became of them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render_events
from spec_kitty_sync.cli.options import home_option, json_option, settings_from
from spec_kitty_sync.cli.values import LIMIT, TEXT
from spec_kitty_sync.errors import UsageError

_STATES = (
    "pending", "rejected", "transient", "dead_letter", "terminal_failed", "held", "open",
)  # fmt: skip
_LISTED = 20
_limit = click.option(
    "--limit", metavar="N", type=LIMIT, default=_LISTED, show_default=True,
    help="List at most N.",
)  # fmt: skip


@click.command()
@click.argument("event_id", type=TEXT, required=False)
@click.option("--state", type=click.Choice(_STATES), help="List the events in this state.")
@click.option("--held", type=TEXT, metavar="REASON", help="List the events held for this reason.")
@click.option(
    "--limit", metavar="N", type=LIMIT,
    help="List at most N.  [default: 20, with --raw all]",
)  # fmt: skip
@click.option("--raw", is_flag=True, help="Print only the stored bytes; of a list, one a line.")
@home_option
@json_option
def show(
    event_id: str | None,
    state: str | None,
    held: str | None,
    limit: int | None,
    raw: bool,
    home: Path | None,
    as_json: bool,
) -> int:
    """Show everything that is known of one event, or list those that do not get through.

    \b
    Examples:
      spec-kitty sync show 01JN8Z6Q3V5D2X7KQ4R9T0ABCD
      spec-kitty sync show --state dead_letter
      spec-kitty sync show --held no_identity --raw > held.jsonl
    """
    settings = settings_from(home)
    if event_id is not None:
        view = api.show(settings, event_id)
        return render_events.stored(view) if raw else render_events.event(view, as_json=as_json)
    if state is None and held is None:
        raise UsageError(
            "which event?", remedy="Name its id, or give --state STATE or --held REASON."
        )
    if raw:
        found = api.stored_lines(settings, state=state, held=held, limit=limit or sys.maxsize)
        return render_events.stored_lines(found)
    limit = limit or _LISTED
    lines = api.list_events(settings, state=state, held=held, limit=limit)
    return render_events.listing(lines, limit=limit, as_json=as_json)


@click.command()
@click.argument("event_ids", type=TEXT, metavar="[EVENT_ID]...", nargs=-1)
@click.option("--category", type=TEXT, metavar="NAME", help="Only failures of this category.")
@click.option("--dead", "states", flag_value="dead_letter", multiple=True, help="Dead letters.")
@click.option(
    "--terminal", "states", flag_value="terminal_failed", multiple=True, help="Refused for good."
)
@click.option("--rejected", "states", flag_value="rejected", multiple=True, help="Rejected so far.")
@click.option(
    "--transient", "states", flag_value="transient", multiple=True, help="Failed for now."
)
@click.option("--held", "states", flag_value="held", multiple=True, help="Held; judged anew.")
@home_option
@json_option
def retry(
    event_ids: tuple[str, ...],
    category: str | None,
    states: tuple[str, ...],
    home: Path | None,
    as_json: bool,
) -> int:
    """Put events back, so that the next `sync now` sends them again.

    Their rejections count from zero. Delivered events are never touched.

    \b
    Examples:
      spec-kitty sync retry --dead --terminal
      spec-kitty sync retry --category server_error
      spec-kitty sync retry 01JN8Z6Q3V5D2X7KQ4R9T0ABCD
    """
    from spec_kitty_sync.sync.correcting import RetryChoice

    choice = RetryChoice(event_ids, states, category)
    return render_events.retried(api.retry(settings_from(home), choice), as_json=as_json)


@click.command()
@click.argument("event_id", type=TEXT, required=False)
@click.option(
    "--file", "source", required=True, type=click.Path(path_type=Path), metavar="FILE",
    help="The corrected event; without EVENT_ID one event on each line.",
)  # fmt: skip
@click.option("--reason", type=TEXT, default="", metavar="TEXT", help="Kept in the audit.")
@home_option
@json_option
def replace(
    event_id: str | None, source: Path, reason: str, home: Path | None, as_json: bool
) -> int:
    """Put corrected bytes in place of an event that no target accepted. Its id stays.

    The old bytes are kept in the audit, and the event is sent again.

    \b
    Examples:
      spec-kitty sync show 01JN8Z6Q3V5D2X7KQ4R9T0ABCD --raw > event.json
      spec-kitty sync replace 01JN8Z6Q3V5D2X7KQ4R9T0ABCD --file event.json --reason typo
      spec-kitty sync replace --file corrected.jsonl
    """
    done = api.replace(settings_from(home), source, event_id=event_id, reason=reason)
    return render_events.corrected(done, "replaced", as_json=as_json)


@click.command()
@click.argument("event_ids", type=TEXT, metavar="EVENT_ID...", nargs=-1, required=True)
@click.option("--reason", type=TEXT, required=True, metavar="TEXT", help="Kept in the audit.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
@json_option
def discard(
    event_ids: tuple[str, ...], reason: str, yes: bool, home: Path | None, as_json: bool
) -> int:
    """Remove the bytes of events that no target accepted. Row and audit stay.

    \b
    Example:
      spec-kitty sync discard 01JN8Z6Q3V5D2X7KQ4R9T0ABCD --reason "test data" --yes
    """
    from spec_kitty_sync.cli.confirming import confirm

    confirm(f"Remove the bytes of {len(event_ids)} events for good?", yes=yes)
    done = api.discard(settings_from(home), event_ids, reason=reason)
    return render_events.corrected(done, "discarded", as_json=as_json)


@click.command()
@_limit
@home_option
@json_option
def log(limit: int, home: Path | None, as_json: bool) -> int:
    """Show the last answers of servers, the newest first: one line for each batch.

    \b
    Examples:
      spec-kitty sync log
      spec-kitty sync log --limit 5 --json
    """
    entries = api.log(settings_from(home), limit=limit)
    return render_events.log(entries, as_json=as_json)
