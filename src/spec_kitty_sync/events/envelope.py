"""The envelope's fields and the dialects that events are written in (CONTRACT 1)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NotRequired

from pydantic import ConfigDict, InstanceOf, with_config
from typing_extensions import TypedDict

from spec_kitty_sync.events.fields import Clock, Text, Tier, Timestamp, Ulid, Uuid4, Version


class Dialect(StrEnum):
    """Which generation of the design an envelope follows."""

    CANONICAL = "canonical"
    IDENTITY = "identity"
    EMISSION = "emission"


@with_config(ConfigDict(extra="ignore"))
class Envelope(TypedDict):
    """The envelope of every dialect; what else an event holds is kept and not looked at."""

    event_id: Ulid
    event_type: Text
    aggregate_id: Text
    aggregate_type: Text
    payload: InstanceOf[dict]  # type: ignore[type-arg]  # contents are the payload model's matter
    timestamp: Timestamp
    node_id: Text
    lamport_clock: Clock
    causation_id: NotRequired[Ulid | None]
    correlation_id: NotRequired[Ulid | None]
    project_uuid: NotRequired[Uuid4 | None]
    project_slug: NotRequired[Text | None]
    team_slug: NotRequired[Text | None]
    schema_version: NotRequired[Version]
    data_tier: NotRequired[Tier]


def dialect_of(event: Mapping[str, Any]) -> Dialect:
    """Return the dialect of *event*; a null field counts as absent."""
    if event.get("correlation_id") is not None:
        return Dialect.CANONICAL
    if event.get("project_uuid") is not None:
        return Dialect.IDENTITY
    return Dialect.EMISSION
