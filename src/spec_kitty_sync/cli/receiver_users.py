"""`spec-kitty receiver user`: who may send to a receiver that keeps its users in its database."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from spec_kitty_sync.cli.options import json_option
from spec_kitty_sync.cli.values import TEXT
from spec_kitty_sync.errors import UsageError

if TYPE_CHECKING:
    from spec_kitty_sync.receiver.accounts import Account, Accounts

_DATABASE = click.option(
    "--database",
    type=TEXT,
    metavar="PATH|URL",
    required=True,
    help="The one that the receiver serves from.",
)


@click.group()
def user() -> None:
    """Users in the receiver's database; `receiver serve --accounts` lets them in.

    \b
    Example:
      spec-kitty receiver user list --database receiver.db
    """


@user.command()
@click.argument("username", type=TEXT)
@_DATABASE
@click.option("--team", type=TEXT, help="Its events only; without it events of every team.")
@click.option(
    "--project", type=TEXT, multiple=True, metavar="UUID", help="These only; all without it."
)
@click.option(
    "--password-env", type=TEXT, metavar="NAME", help="Environment variable with the password."
)
@click.option("--token", is_flag=True, help="Also make a bearer token; it is shown this once.")
def add(
    username: str,
    database: str,
    team: str | None,
    project: tuple[str, ...],
    password_env: str | None,
    token: bool,
) -> None:
    """Add a user. Without --password-env the password is asked for.

    \b
    Examples:
      spec-kitty receiver user add ada --team team-a --database receiver.db
      ADA=… spec-kitty receiver user add ada --password-env ADA --token --database receiver.db
    """
    from spec_kitty_sync._clock import SystemClock
    from spec_kitty_sync.receiver.principals import Principal

    password = _password(password_env)
    projects = frozenset(each.lower() for each in project) or None
    secret = f"skt_{secrets.token_urlsafe(32)}" if token else None
    with _accounts(database) as accounts:
        accounts.add(
            Principal(username, team=team, projects=projects),
            password=password,
            token=secret,
            now_ms=SystemClock().now_ms(),
        )
    click.echo(f"added {username}", err=secret is not None)
    if secret is not None:
        click.echo(secret)


@user.command("list")
@_DATABASE
@json_option
def show(database: str, as_json: bool) -> None:
    """List users with their teams and projects; passwords and tokens are not readable.

    \b
    Example:
      spec-kitty receiver user list --database receiver.db
    """
    with _accounts(database) as accounts:
        found = accounts.all()
    if as_json:
        click.echo(json.dumps({"users": [_shown(each) for each in found]}))
        return
    for each in found:
        projects = "every project" if each.projects is None else ", ".join(sorted(each.projects))
        token = "token" if each.token_hash else "-"
        click.echo(f"{each.username:24} {each.team or 'every team':24} {token:6} {projects}")


def _shown(account: Account) -> dict[str, object]:
    return {
        "username": account.username,
        "team": account.team,
        "projects": None if account.projects is None else sorted(account.projects),
        "token": account.token_hash is not None,
    }


@user.command()
@click.argument("username", type=TEXT)
@_DATABASE
def remove(username: str, database: str) -> None:
    """Remove a user; running receivers let it out within seconds. Its events stay.

    \b
    Example:
      spec-kitty receiver user remove ada --database receiver.db
    """
    with _accounts(database) as accounts:
        accounts.remove(username)
    click.echo(f"removed {username}")


@contextmanager
def _accounts(database: str) -> Iterator[Accounts]:
    from spec_kitty_sync.receiver.accounts import Accounts
    from spec_kitty_sync.receiver.database import database_address
    from spec_kitty_sync.receiver.stores import store_at

    store = store_at(database_address(database))
    store.open()
    try:
        yield Accounts(store)
    finally:
        store.close()


def _password(name: str | None) -> str:
    if name is None:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    if not os.environ.get(name):
        raise UsageError(f"the environment variable {name} is not set")
    return os.environ[name]
