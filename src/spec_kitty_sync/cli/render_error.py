"""Errors as one line: what happened, then the command that helps."""

from __future__ import annotations

import json

import click

from spec_kitty_sync.errors import SpecKittyError

_CONTROL = {c: f"\\x{c:02x}" for c in (*range(32), 127, *range(128, 160)) if c not in (9, 10)}
_BIDI = {c: f"\\u{c:04x}" for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)}
_ESCAPES = {**_CONTROL, **_BIDI}


def visible(text: str) -> str:
    """Return *text* with terminal escapes, bidi overrides and line breaks made visible.

    Half surrogate pairs, which no terminal can be sent, are escaped too.
    """
    shown = text.translate(_ESCAPES).replace("\n", "\\n")
    return shown.encode("utf-8", "backslashreplace").decode()


def report_error(exc: SpecKittyError, *, as_json: bool) -> int:
    """Print *exc* to stderr (with --json: as an object to stdout too) and return its exit code."""
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ok": False,
                    "exit_code": exc.exit_code,
                    "error": {
                        "code": exc.code,
                        "message": exc.message,
                        "remedy": exc.remedy,
                        **{k: v for k, v in exc.facts.items() if k not in ("code", "message")},
                    },
                },
                default=str,
                ensure_ascii=False,
            )
        )
    click.echo(f"error: {visible(exc.message)}\n  {visible(exc.remedy)}", err=True)
    return exc.exit_code


def interrupted() -> int:
    """Say that Ctrl-C was heard; what was done is durable."""
    click.echo("interrupted; everything recorded so far is kept", err=True)
    return 130
