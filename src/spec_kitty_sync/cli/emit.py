"""`spec-kitty emit TYPE`: append one event; the options of each type come from its payload."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render
from spec_kitty_sync.cli.options import home_option, settings_from
from spec_kitty_sync.cli.values import TEXT, Whole
from spec_kitty_sync.errors import JsonError, UnknownEventTypeError, UsageError

_STATED = ("aggregate_id", "aggregate_type", "causation_id", "correlation_id", "data_tier")


class TypeCommands(click.Group):
    """One command for each event type of the core pack; any other type takes `--json` only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from spec_kitty_sync.events.registry import CORE, default_registry

        return sorted(each.name for each in default_registry() if each.pack == CORE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        from spec_kitty_sync.cli.payload_options import payload_options, written_model
        from spec_kitty_sync.events.registry import CORE, default_registry

        kind = default_registry().find(cmd_name)
        if kind is None or kind.pack != CORE:
            return _command(cmd_name, f"Append a {cmd_name}.", [])
        summary = (getattr(written_model(kind), "__doc__", None) or "").strip()
        return _command(cmd_name, summary, payload_options(kind))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse a type that nobody knows, unless its payload or help is asked for.

        Raises:
            UnknownEventTypeError: a misspelt one, most likely.
        """
        from spec_kitty_sync.events.registry import default_registry

        given = {arg.partition("=")[0] for arg in args[1:]}
        if default_registry().find(args[0]) is None and not given & {"--json", "--help"}:
            raise _unknown(args[0], [each.name for each in default_registry()])
        return super().resolve_command(ctx, args)


@click.group(cls=TypeCommands, subcommand_metavar="TYPE [OPTIONS]")
def emit() -> None:
    """Append one event of TYPE to the journal and print its id.

    \b
    Examples:
      spec-kitty emit HistoryAdded --wp-id WP01 --entry-type note --entry-content hi
      echo '{"wp_id": "WP01", "entry_type": "note", "entry_content": "hi"}' |
        spec-kitty emit HistoryAdded --json -
    """


def _unknown(name: str, known: Sequence[str]) -> UnknownEventTypeError:
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return UnknownEventTypeError(
        f"unknown event type {name[:60]}",
        remedy=f"{meant}`spec-kitty emit --help` lists the types; "
        "one of your own takes its payload with --json FILE.",
    )


def _command(name: str, summary: str, options: list[click.Option]) -> click.Command:
    def call(source: IO[bytes] | None, home: Path | None, **given: Any) -> None:
        stated = {key: given.pop(key) for key in _STATED}
        fields = {key: value for key, value in given.items() if value not in (None, ())}
        payload = _payload(source) if source is not None else None
        if payload is None and not fields:
            raise UsageError(
                f"{name} needs its payload", remedy=f"Run `spec-kitty emit {name} --help`."
            )
        if payload is not None and fields:
            raise UsageError(
                "the payload stands in --json and in options", remedy="Give only one of them."
            )
        settings, common = settings_from(home), {k: v for k, v in stated.items() if v is not None}
        if payload is not None:
            about = common.pop("aggregate_id", None) or _subject(payload)
            event = api.emit(settings, name, payload, aggregate_id=about, **common)
        else:
            event = api.emit_fields(settings, name, fields, common=common)
        render.emitted(event)

    command = click.command(name, help=summary, short_help=summary)(home_option(call))
    command.params = [*options, *_common_options(), *command.params]
    return command


def _common_options() -> list[click.Option]:
    return [
        click.Option(
            ["--json", "source"],
            type=click.File("rb"),
            help="The payload: a JSON object from FILE, or - for standard input.",
        ),
        click.Option(
            ["--aggregate-id"], type=TEXT, help="What the event is about.  [default: the payload's]"
        ),
        click.Option(["--aggregate-type"], type=TEXT, help="What kind of thing that is."),
        click.Option(["--correlation-id"], type=TEXT, help="ULID of the mission execution."),
        click.Option(["--causation-id"], type=TEXT, help="ULID of the event that caused this one."),
        click.Option(
            ["--tier", "data_tier"],
            type=Whole(0, 4),
            help="Data tier; 0 never leaves this machine.",
        ),
    ]


def _payload(source: IO[bytes]) -> Mapping[str, Any]:
    from spec_kitty_sync._json import loads_strict

    try:
        payload = loads_strict(source.read())
    except JsonError as exc:
        raise UsageError(
            f"--json: {source.name} is not strict JSON: {exc.message}",
            remedy="Give one JSON object.",
        ) from exc
    if not isinstance(payload, dict):
        raise UsageError(
            f"--json: expected an object, got {json.dumps(payload)[:40]}",
            remedy="Give one JSON object.",
        )
    return payload


def _subject(payload: Mapping[str, Any]) -> str:
    for key in ("wp_id", "mission_id", "mission_slug", "feature_slug", "gate_name"):
        if isinstance(value := payload.get(key), str):
            return value
    raise UsageError("the payload names no work package or mission", remedy="Give --aggregate-id.")
