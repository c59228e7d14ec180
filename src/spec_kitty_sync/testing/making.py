"""Valid events and old queues, made to order."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spec_kitty_sync.conformance.builder import Builder, Namespace
from spec_kitty_sync.conformance.migration_homes import Row, write_queue
from spec_kitty_sync.events.models import Event


def make_event(event_type: str = "HistoryAdded", **payload: Any) -> Event:
    """Return a valid event of *event_type* with a new id; *payload* replaces fields of the payload.

    A WPStatusChanged is a status_transition.

    Raises:
        KeyError: the core pack has no such type.
    """
    shaped = f"{event_type}.status_transition" if event_type == "WPStatusChanged" else event_type
    namespace = Namespace(secrets.token_hex(8), time.time_ns() // 1_000_000)
    event = Builder(namespace, "made").event(shaped)
    event["payload"].update(payload)
    return Event.from_wire(event)


def write_legacy_queue(path: Path, events: Iterable[Event | Mapping[str, Any]]) -> Path:
    """Write *events* into the queue table of *path*, as CLIs before the journal did."""
    rows = []
    for one in events:
        body = one.to_wire() if isinstance(one, Event) else json.dumps(dict(one)).encode()
        rows.append(Row(json.loads(body)["event_id"], body.decode("utf-8")))
    return write_queue(path, rows)
