"""Asking before something is gone."""

from __future__ import annotations

import sys

import click

from spec_kitty_sync.errors import UsageError


def may_ask() -> bool:
    """Whether somebody sits at the terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Go on after a yes; *yes* answers beforehand.

    Raises:
        UsageError: nobody can be asked.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not may_ask():
        raise UsageError(
            "this removes something, and there is no terminal to ask at",
            remedy="Run the same command with `--yes`.",
        )
    click.confirm(question, abort=True, err=True)
