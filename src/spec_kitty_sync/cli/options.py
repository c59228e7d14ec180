"""Options that every command shares, and the settings they make."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from spec_kitty_sync._files import Home
from spec_kitty_sync.cli.main import DEBUG, KEEP_LOG, WANTS_JSON
from spec_kitty_sync.sync.config import Settings

F = TypeVar("F", bound=Callable[..., Any])


def home_option(command: F) -> F:
    """Add `--home PATH`, handed over as `home`."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        default=None,
        help="Directory that holds journal and settings.  [env: SPEC_KITTY_HOME; ~/.spec-kitty]",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`, handed over as `as_json`: stdout is one JSON object, errors included."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        callback=_remember_json,
        help="Print one JSON object on stdout.",
    )(command)


def _remember_json(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    if value:
        ctx.meta.get(WANTS_JSON, {})["json"] = True
    return value


def settings_from(home: Path | None) -> Settings:
    """Return the settings of this run; the only place where the CLI reads the environment."""
    environ = dict(os.environ)
    settings = Settings(Home.resolve(environ, home), environ, Path.cwd())
    meta = click.get_current_context().meta
    meta.get(KEEP_LOG, []).append(lambda: _start_log(settings))
    if meta.get(DEBUG):
        _start_log(settings)
    return settings


def _start_log(settings: Settings) -> Path:
    from spec_kitty_sync.cli.debug_log import start_log

    return start_log(settings)
