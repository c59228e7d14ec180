"""`spec-kitty receiver`: run the reference receiver."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spec_kitty_sync._extras import require
from spec_kitty_sync.cli.receiver_users import user
from spec_kitty_sync.cli.values import SECRET, TEXT, Seconds, Whole
from spec_kitty_sync.errors import UsageError

if TYPE_CHECKING:
    from spec_kitty_sync.receiver.principals import User
    from spec_kitty_sync.receiver.settings import Settings

_COUNT = Whole(1, 2**31 - 1)
_SECONDS = Seconds(min_open=True)
_LIFETIME = Whole(0, 1_000_000_000)
_PUBLIC_URL = re.compile(r"https?://([\w.\-]+|\[[\da-fA-F:]+\])(:\d{1,5})?/?", re.ASCII)


@click.group()
def receiver() -> None:
    """Run the reference receiver.

    \b
    Example:
      spec-kitty receiver serve --no-auth --port 8000
    """


receiver.add_command(user)


@receiver.command()
@click.option(
    "--host", type=TEXT, default="127.0.0.1", show_default=True, help="Address to listen on."
)
@click.option(
    "--port", type=Whole(0, 65_535), default=8765, show_default=True, help="0 takes a free one."
)
@click.option(
    "--database",
    type=TEXT,
    metavar="PATH|URL",
    help="SQLite file or postgresql:// URL; without it events are gone when the receiver ends.",
)
@click.option(
    "--workers", type=_COUNT, default=1, show_default=True, help="Processes; more need PostgreSQL."
)
@click.option(
    "--public-url", type=TEXT, metavar="URL", help="How clients reach it through a proxy."
)
@click.option(
    "--log-level",
    type=click.Choice(["info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="JSON lines on standard error; info has one per request.",
)
@click.option(
    "--token-env", type=TEXT, metavar="NAME", help="Environment variable that holds the token."
)
@click.option("--token", type=SECRET, help="The token itself; the process list shows it.")
@click.option(
    "--users",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with users, teams and tokens.",
)
@click.option("--accounts", is_flag=True, help="Users stand in the database: `receiver user`.")
@click.option("--no-auth", is_flag=True, help="Take events from anyone.")
@click.option(
    "--max-batch-events", type=_COUNT, default=1000, show_default=True, help="Events per batch."
)
@click.option(
    "--max-event-bytes", type=_COUNT, default=262_144, show_default=True, help="Bytes per event."
)
@click.option(
    "--max-body-bytes", type=_COUNT, default=8_388_608, show_default=True, help="After unpacking."
)
@click.option(
    "--header-time", type=_SECONDS, default=10.0, show_default=True, help="Seconds for headers."
)
@click.option(
    "--body-time", type=_SECONDS, default=30.0, show_default=True, help="Seconds for a body."
)
@click.option(
    "--max-concurrent", type=_COUNT, default=64, show_default=True, help="Batches at once."
)
@click.option("--rate", type=_SECONDS, help="Batches per second and user; above it: 429.")
@click.option("--access-lifetime", type=_LIFETIME, default=3600, show_default=True, help="Seconds.")
@click.option(
    "--refresh-lifetime", type=_LIFETIME, default=1_209_600, show_default=True, help="Seconds."
)
@click.option(
    "--tiers", type=TEXT, metavar="N,N", help="Data tiers that are taken; all without it."
)
@click.option(
    "--packs", type=TEXT, metavar="NAME,NAME", help="Event packs that are known, e.g. core."
)
@click.option(
    "--schemas",
    multiple=True,
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder of <EventType>.schema.json files: more types to take.",
)
@click.option(
    "--pending",
    metavar="SECONDS",
    type=Seconds(),
    default=0.0,
    help="Answer pending for that long after storing.",
)
@click.option(
    "--protocol", type=TEXT, multiple=True, metavar="V", help="Speak only these versions: 412."
)
@click.option("--deployment-id", type=TEXT, help="Shown in health.")
@click.option(
    "--environment", type=TEXT, default="reference", show_default=True, help="Shown in health."
)
@click.option("--git-sha", type=TEXT, help="Shown in health.")
@click.option("--test-hooks", is_flag=True, help="Let testers restart and wipe it by HTTP.")
@click.option(
    "--fault", type=TEXT, multiple=True, metavar="NAME", help="Break one promise, for testers."
)
@click.option("--list-faults", is_flag=True, help="Show the faults and exit.")
def serve(host: str, port: int, **options: Any) -> None:
    """Take events from drains and answer as the contract says.

    Standard output has one line, `listening on http://HOST:PORT`, once connections are
    accepted. Choose exactly one of --token-env, --token, --users, --accounts, --no-auth.

    \b
    Examples:
      spec-kitty receiver serve --no-auth --port 0
      RECEIVER_TOKEN=… spec-kitty receiver serve --token-env RECEIVER_TOKEN --database r.db
    """
    require("receiver")
    from spec_kitty_sync.receiver import faults, serve

    if options["list_faults"]:
        for name, fault in sorted(faults.FAULTS.items()):
            click.echo(f"{name:32} {fault.description}")
        return
    with ExitStack() as stack:
        settings = _settings(options, stack)
        _warn(settings, lasting=options["database"] is not None)
        serve.serve(
            settings,
            host=host,
            port=port,
            workers=options["workers"],
            log_level=options["log_level"],
            ready=lambda url: click.echo(f"listening on {url}"),
        )


def _settings(options: dict[str, Any], stack: ExitStack) -> Settings:
    from spec_kitty_sync.receiver.limits import Limits
    from spec_kitty_sync.receiver.principals import Lifetimes
    from spec_kitty_sync.receiver.settings import Deployment, Settings

    return Settings(
        database=_database(options["database"], stack),
        users=_users(options),
        accounts=options["accounts"],
        public_url=_public_url(options["public_url"]),
        limits=Limits(
            max_batch_events=options["max_batch_events"],
            max_event_bytes=options["max_event_bytes"],
            max_body_bytes=options["max_body_bytes"],
            header_s=options["header_time"],
            body_s=options["body_time"],
            max_concurrent=options["max_concurrent"],
            requests_per_s=options["rate"],
        ),
        lifetimes=Lifetimes(options["access_lifetime"], options["refresh_lifetime"]),
        deployment=Deployment(
            options["deployment_id"], options["environment"] or None, options["git_sha"]
        ),
        tiers=_tiers(options["tiers"]),
        packs=frozenset(options["packs"].split(",")) if options["packs"] else None,
        schema_dirs=options["schemas"],
        pending_s=options["pending"],
        protocols=options["protocol"] or None,
        test_hooks=options["test_hooks"],
        faults=options["fault"],
    )


def _users(options: dict[str, Any]) -> tuple[User, ...] | None:
    from spec_kitty_sync.receiver.users_file import read_users, single_user

    names = ("token_env", "token", "users", "accounts", "no_auth")
    chosen = [name for name in names if options[name]]
    if len(chosen) != 1:
        raise UsageError(
            "choose exactly one of --token-env, --token, --users, --accounts and --no-auth",
            remedy="Run `spec-kitty receiver serve --help`.",
        )
    if options["users"]:
        return read_users(options["users"], os.environ)
    if options["token"]:
        return single_user(options["token"])
    if name := options["token_env"]:
        if not os.environ.get(name):
            raise UsageError(
                f"the environment variable {name} is not set",
                remedy=f"Set {name} to the token that senders use, or choose --no-auth.",
            )
        return single_user(os.environ[name])
    return None


def _tiers(text: str | None) -> frozenset[int] | None:
    if text is None:
        return None
    numbers = text.split(",")
    if not all(number.strip() in {"0", "1", "2", "3", "4"} for number in numbers):
        raise UsageError("--tiers takes numbers from 0 to 4 with commas between them")
    return frozenset(int(number) for number in numbers)


def _public_url(text: str | None) -> str | None:
    if text is not None and not _PUBLIC_URL.fullmatch(text):
        raise UsageError(
            "--public-url is no plain address", remedy="Write https://HOST or https://HOST:PORT."
        )
    return text


def _database(address: str | None, stack: ExitStack) -> Path | str:
    from spec_kitty_sync.receiver.database import database_address

    if address is not None:
        return database_address(address)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="spec-kitty-receiver-"))
    return Path(folder) / "receiver.db"


def _warn(settings: Settings, *, lasting: bool) -> None:
    for fault in settings.faults:
        click.echo(f"FAULT {fault}: this receiver is broken on purpose", err=True)
    if not lasting:
        click.echo("no --database: what is stored here is gone when this receiver ends", err=True)
    if settings.open_to_all:
        click.echo("no authentication: everyone who reaches the port may write", err=True)
