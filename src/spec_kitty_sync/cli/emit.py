"""`spec-kitty emit`: append one event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import click

from spec_kitty_sync import api
from spec_kitty_sync.cli import render
from spec_kitty_sync.cli.options import home_option, settings_from
from spec_kitty_sync.errors import UsageError


@click.command()
@click.argument("event_type", metavar="TYPE")
@click.option(
    "--json", "source", type=click.File("r"), required=True,
    help="The payload: a JSON object from FILE, or - for standard input.",
)  # fmt: skip
@click.option("--aggregate-id", help="What the event is about.  [default: from the payload]")
@click.option("--correlation-id", help="ULID of the mission execution.")
@click.option("--causation-id", help="ULID of the event that caused this one.")
@click.option("--tier", type=click.IntRange(0, 4), help="Data tier; 0 never leaves this machine.")
@home_option
def emit(event_type: str, source: IO[str], home: Path | None, tier: int | None, **ids: Any) -> None:
    """Append one event of TYPE to the journal and print its id.

    \b
    Example:
      echo '{"wp_id": "WP01", "entry_type": "note", "entry_content": "hi"}' |
        spec-kitty emit HistoryAdded --json -
    """
    payload = _payload(source)
    ids["aggregate_id"] = ids["aggregate_id"] or _subject(payload)
    event = api.emit(settings_from(home), event_type, payload, data_tier=tier, **ids)
    render.emitted(event)


def _payload(source: IO[str]) -> dict[str, Any]:
    try:
        payload = json.load(source)
    except (json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(
            f"--json: {source.name} is not JSON: {exc}", remedy="Give one JSON object."
        ) from exc
    if not isinstance(payload, dict):
        raise UsageError(
            f"--json: expected an object, got {type(payload).__name__}",
            remedy="Give one JSON object.",
        )
    return payload


def _subject(payload: dict[str, Any]) -> str:
    for key in ("wp_id", "mission_id", "mission_slug", "feature_slug"):
        if isinstance(value := payload.get(key), str):
            return value
    raise UsageError("the payload names no work package or mission", remedy="Give --aggregate-id.")
