"""Errors as one line: what happened, then the command that helps."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

import click

from spec_kitty_sync.errors import SpecKittyError

_KEPT = "\t"
_LONGEST = 600
_LONGEST_REMEDY = 4_000  # names commands with long paths, and half a command is none


def visible(text: str) -> str:
    """Return *text* with everything made visible that is not: a terminal is sent no escapes, no
    bidi overrides, no line breaks, no zero-width characters, no half surrogate pairs.
    """
    text = str(text)  # a damaged file may give a value of any type
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _KEPT or _is_blank(char) else _escaped(char)
        for char in text
    )


def visible_json(text: str) -> str:
    """Return the JSON *text* with what is not visible in its strings as \\u escapes; it still
    means the same.
    """
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        char if char.isprintable() or char in "\n" or _is_blank(char) else json.dumps(char)[1:-1]
        for char in text
    ).replace("\x7f", "\\u007f")


def _is_blank(char: str) -> bool:
    # Blanks of other widths: not printable to Python, yet ordinary in Japanese or French text.
    return unicodedata.category(char) == "Zs"


def _escaped(char: str) -> str:
    code = ord(char)
    if char == "\n":
        return "\\n"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def report_error(exc: SpecKittyError, *, as_json: bool) -> int:
    """Print *exc* to stderr (with --json: as an object to stdout too) and return its exit code."""
    if as_json:
        facts = {k: v for k, v in exc.facts.items() if k not in ("code", "message", "remedy")}
        _print_object(exc.exit_code, exc.code, exc.message, exc.remedy, facts)
    _print_line(exc.message, exc.remedy)
    return exc.exit_code


def report_usage(exc: click.UsageError, *, as_json: bool) -> int:
    """Print what is wrong with the command line, and the command that explains it."""
    path = exc.ctx.command_path if exc.ctx is not None else "spec-kitty"
    remedy = f"Run `{path} --help`."
    message = exc.format_message().rstrip(".")
    if as_json:
        _print_object(exc.exit_code, "usage", message, remedy, {})
    _print_line(message, remedy)
    return exc.exit_code


def report_os_error(exc: OSError, *, as_json: bool) -> int:
    """Print that a file could not be read or written, and return the exit code for that."""
    from spec_kitty_sync._files import spent_error

    if failure := spent_error(str(exc.filename or "a file"), exc):
        return report_error(failure, as_json=as_json)
    message = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
    remedy = "Check the file and its permissions, then run the same command again."
    if as_json:
        _print_object(3, "file", message, remedy, {})
    _print_line(message, remedy)
    return 3


def _print_line(message: str, remedy: str) -> None:
    shown = _readable(message, _LONGEST), _readable(remedy, _LONGEST_REMEDY)
    click.echo("error: {} — {}".format(*shown), err=True)


def _readable(text: str, longest: int) -> str:
    """Return *text* visible, without the middle of what nobody reads to its end."""
    shown = visible(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 100]} […] {shown[-100:]}"


def _print_object(
    exit_code: int, code: str, message: str, remedy: str, facts: Mapping[str, Any]
) -> None:
    error = {"code": code, "message": message, "remedy": remedy, **facts}
    document = {"ok": False, "exit_code": exit_code, "error": error}
    click.echo(visible_json(json.dumps(document, default=str, ensure_ascii=False)))


def interrupted() -> int:
    """Say that Ctrl-C was heard; what was done is durable."""
    click.echo("interrupted; everything recorded so far is kept", err=True)
    return 130


def stopping() -> None:
    """Say that the wish to stop was heard."""
    click.echo("\nstopping: waiting for the answer that is on its way (again: at once)", err=True)
