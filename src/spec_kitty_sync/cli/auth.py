"""`spec-kitty auth login|status|logout`: who delivers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render_producing
from spec_kitty_sync.cli.options import home_option, json_option, settings_from
from spec_kitty_sync.cli.values import TEXT
from spec_kitty_sync.errors import UsageError

_LONGEST_NAME = 100


@click.group()
def auth() -> None:
    """Log in, log out, see who is logged in.

    \b
    Examples:
      spec-kitty auth login
      spec-kitty auth status --json
    """


@auth.command()
@click.option(
    "--server", type=TEXT, metavar="URL", help="Where to log in.  [default: the server of sync]"
)
@click.option("--username", type=TEXT, help="Asked for when absent.")
@click.option(
    "--password-env",
    type=TEXT,
    metavar="NAME",
    help="Environment variable that holds the password; asked for without it.",
)
@home_option
@json_option
def login(
    server: str | None,
    username: str | None,
    password_env: str | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Log in and keep the tokens in the home, readable by you alone.

    \b
    Examples:
      spec-kitty auth login --username ada
      spec-kitty auth login --username ada --password-env SK_PASSWORD
    """
    username = username or click.prompt("User name", type=TEXT, err=True)
    password = _password(password_env)
    state = api.login(settings_from(home), username, password, server=server)
    render_producing.login(state, as_json=as_json)


def _piped_password() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise UsageError(
            "there is no terminal to ask for the password at",
            remedy="Name the variable that holds it with `--password-env NAME`, or pipe it in.",
        )
    return line


def _password(name: str | None) -> str:
    if name is None and not sys.stdin.isatty():
        return _piped_password()
    if name is None:
        return str(click.prompt("Password", hide_input=True, err=True))
    password = os.environ.get(name)
    if not password:
        usable = name.isidentifier() and len(name) <= _LONGEST_NAME
        raise UsageError(
            f"the environment variable {name} holds no password",
            remedy=f"Run `export {name}=…`." if usable else "Give `--password-env` its name.",
        )
    return password


@auth.command()
@click.option("--check", is_flag=True, help="Exit with 3 where a new login is needed.")
@home_option
@json_option
def status(check: bool, home: Path | None, as_json: bool) -> int:
    """Say who is logged in, where, and until when.

    \b
    Example:
      spec-kitty auth status --check
    """
    state = api.login_state(settings_from(home))
    render_producing.login(state, as_json=as_json)
    return 3 if check and (state is None or not state.usable) else 0


@auth.command()
@home_option
@json_option
def logout(home: Path | None, as_json: bool) -> None:
    """Forget the login; events wait for the next one.

    \b
    Example:
      spec-kitty auth logout
    """
    render_producing.logout(api.logout(settings_from(home)), as_json=as_json)
