"""Errors as one line: what happened, then the command that helps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from spec_kitty_sync.errors import SpecKittyError

_CONTROL = {c: f"\\x{c:02x}" for c in (*range(32), 127, *range(128, 160)) if c not in (9, 10)}
_BIDI = {c: f"\\u{c:04x}" for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)}
_ESCAPES = {**_CONTROL, **_BIDI}


def visible(text: str) -> str:
    """Return *text* with terminal escapes, bidi overrides and line breaks made visible.

    Half surrogate pairs, which no terminal can be sent, are escaped too.
    """
    # A damaged file may give a value of any type.
    shown = str(text).translate(_ESCAPES).replace("\n", "\\n")
    return shown.encode("utf-8", "backslashreplace").decode()


def report_error(exc: SpecKittyError, *, as_json: bool) -> int:
    """Print *exc* to stderr (with --json: as an object to stdout too) and return its exit code."""
    if as_json:
        facts = {k: v for k, v in exc.facts.items() if k not in ("code", "message", "remedy")}
        _print_object(exc.exit_code, exc.code, exc.message, exc.remedy, facts)
    click.echo(f"error: {visible(exc.message)} — {visible(exc.remedy)}", err=True)
    return exc.exit_code


def report_usage(exc: click.UsageError, *, as_json: bool) -> int:
    """Print what is wrong with the command line, and the command that explains it."""
    path = exc.ctx.command_path if exc.ctx is not None else "spec-kitty"
    remedy = f"Run `{path} --help`."
    message = exc.format_message().rstrip(".")
    if as_json:
        _print_object(exc.exit_code, "usage", message, remedy, {})
    click.echo(f"error: {visible(message)} — {remedy}", err=True)
    return exc.exit_code


def report_os_error(exc: OSError, *, as_json: bool) -> int:
    """Print that a file could not be read or written, and return the exit code for that."""
    message = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
    remedy = "Check the file and its permissions, then run the same command again."
    if as_json:
        _print_object(3, "file", message, remedy, {})
    click.echo(f"error: {visible(message)} — {remedy}", err=True)
    return 3


def _print_object(
    exit_code: int, code: str, message: str, remedy: str, facts: Mapping[str, Any]
) -> None:
    error = {"code": code, "message": message, "remedy": remedy, **facts}
    document = {"ok": False, "exit_code": exit_code, "error": error}
    click.echo(json.dumps(document, default=str, ensure_ascii=False))


def interrupted() -> int:
    """Say that Ctrl-C was heard; what was done is durable."""
    click.echo("interrupted; everything recorded so far is kept", err=True)
    return 130


def stopping() -> None:
    """Say that the wish to stop was heard."""
    click.echo("\nstopping: waiting for the answer that is on its way (again: at once)", err=True)
