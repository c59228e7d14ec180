"""A defect of this program: one line for the user, the traceback for whoever mends it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from spec_kitty_sync.cli.render_error import report_error
from spec_kitty_sync.errors import InternalError, SpecKittyError
from spec_kitty_sync.sync.secrecy import masked

StartLog = Callable[[], Path]
"""Starts the log of a home, unless that is done, and returns its path."""

_LOG = logging.getLogger(__name__)


def report_defect(exc: Exception, keep_log: Sequence[StartLog], *, as_json: bool) -> int:
    """Print where *exc* came from and return the exit code of a defect.

    The traceback goes to the log of the home; to stderr where there is none.
    """
    innermost = traceback.extract_tb(exc.__traceback__)[-1]
    place = f"{Path(innermost.filename).name}:{innermost.lineno}"
    message = f"internal error: {type(exc).__name__} at {place}"
    path = _log_path(keep_log)
    if path is None:
        click.echo(masked("".join(traceback.format_exception(exc))), err=True, nl=False)
        return report_error(InternalError(message), as_json=as_json)
    _LOG.critical(message, exc_info=exc)
    remedy = f"Please report it with the traceback in {path}; what was recorded is kept."
    return report_error(InternalError(message, remedy=remedy), as_json=as_json)


def _log_path(keep_log: Sequence[StartLog]) -> Path | None:
    try:
        return keep_log[0]() if keep_log else None
    except (SpecKittyError, OSError):  # the home takes no log: stderr has to
        return None
