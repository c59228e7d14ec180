"""What a person sees: rich tables that fit 80 columns, or one JSON object."""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spec_kitty_sync.cli.render_error import visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from spec_kitty_sync.events.models import Event
    from spec_kitty_sync.sync.target_authority import ResolvedSyncTarget

_WIDTH = 80
_PATIENCE_S = 3.0


def console(*, stderr: bool = False) -> Console:
    """Return a console that neither interprets markup nor invents colours in a pipe."""
    from rich.console import Console

    class PipedConsole(Console):
        """Leaves it to the command line what a reader that went away means."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH
    return PipedConsole(file=stream, markup=False, highlight=False, emoji=False, width=width)


def table(*headers: str, title: str | None = None) -> Table:
    """Return an empty table in the house style."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for header in headers:
        numeric = header.startswith("#")
        # Nothing is cut off: an id or an address that is not whole is of no use.
        made.add_column(header.lstrip("#"), justify="right" if numeric else "left", overflow="fold")
    return made


def plain(value: object) -> Any:
    """Return *value* as JSON-ready data: dataclasses, enums, paths and times included."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    return _scalar(value)


def _scalar(value: object) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (Path, datetime)):
        return str(value)
    return value


def print_json(value: object) -> None:
    """Print *value* as the one JSON object of a `--json` run."""
    click.echo(visible_json(json.dumps(plain(value), ensure_ascii=False, indent=2)))


def say(text: str, *, err: bool = False) -> None:
    """Print one line, with control characters made visible."""
    click.echo(visible(text), err=err)


def watched() -> bool:
    """Whether somebody looks at a progress bar."""
    return sys.stderr.isatty()


@contextmanager
def progress(
    *, quiet: bool, expected: int = 0, label: str = "delivering", silence: str = ""
) -> Iterator[Callable[[int, int], None]]:
    """Yield a function (done, total) that moves a progress bar on a terminal's stderr.

    *expected* is the total that is known before the work begins; *silence* is said below the bar
    while it has not moved for some seconds.
    """
    if quiet or not watched():
        yield lambda done, total: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    moved_at = time.monotonic()

    class PatientProgress(Progress):
        """Explains why nothing moves."""

        def get_renderables(self) -> Iterator[RenderableType]:
            yield from super().get_renderables()
            if silence and time.monotonic() - moved_at > _PATIENCE_S:
                yield visible(silence)

    columns = (
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with PatientProgress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=expected or None, rate="")

        def move(done: int, total: int) -> None:
            nonlocal moved_at
            moved_at = time.monotonic()
            speed = bar.tasks[0].speed
            rate = f"{speed:,.0f}/s" if speed else ""
            bar.update(task, completed=done, total=max(total, expected), rate=rate)

        yield move


def target(resolved: ResolvedSyncTarget, *, as_json: bool, before: str | None = None) -> None:
    """Print where events go, and which server of *before* that replaces."""
    if as_json:
        print_json(resolved)
    elif resolved.override_mode == "setup_only":
        say(f"config.toml:         {resolved.configured_server_url}")
        say(f"SPEC_KITTY_SAAS_URL: {resolved.env_server_url}")
        say("These differ, so nothing is sent.")
    elif resolved.resolved_server_url is None:
        say("No server is chosen; events stay in the journal.")
        say("Choose one with `spec-kitty sync server URL`.")
    else:
        say(f"Events go to {resolved.resolved_server_url}.")
    if not as_json and before not in (None, resolved.configured_server_url):
        say(f"Before, they went to {before}.")


def emitted(event: Event) -> None:
    """Print the id of an event that is stored now."""
    say(f"{event.event_type} {event.event_id}")
