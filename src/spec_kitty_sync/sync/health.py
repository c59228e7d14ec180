"""What a server says about itself before a drain (CONTRACT 5, Health)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from spec_kitty_sync.delivery.receivers import PROTOCOL_VERSION
from spec_kitty_sync.delivery.selection import Limits
from spec_kitty_sync.delivery.targets import Deployment
from spec_kitty_sync.delivery.urls import HEALTH_PATH
from spec_kitty_sync.errors import DeliveryError
from spec_kitty_sync.sync.config import SyncConfig
from spec_kitty_sync.sync.connecting import http_client

_DEADLINE_S = 5.0
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a server; `limits` and `max_event_bytes` are its own, where it has any.

    `answered`: it was asked and said so; else nothing here tells of the server.
    """

    answered: bool = False
    deployment: Deployment = field(default_factory=Deployment)
    limits: Limits = field(default_factory=Limits)
    max_event_bytes: int | None = None
    capabilities: tuple[str, ...] = ()


def ask_health(url: str, config: SyncConfig) -> Health:
    """Return what the server at *url* says; nothing where it says nothing. Sends no token."""
    if urlsplit(url).query:
        return Health()
    headers = {"X-Spec-Kitty-Sync-Protocol": PROTOCOL_VERSION, "User-Agent": "spec-kitty-sync"}
    try:
        with http_client(config, url, deadline_s=_DEADLINE_S) as client:
            reply = client.request("GET", url.rstrip("/") + HEALTH_PATH, headers=headers)
    except DeliveryError:
        return Health()  # the drain itself says what is wrong with the server
    return read_health(reply.body) if reply.status == 200 else Health()


def read_health(body: bytes) -> Health:
    """Return what an answer means; what is not of its shape counts as not said."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Health()
    if not isinstance(said, dict):
        return Health()
    default = Limits()
    events = _count(said.get("max_batch_events")) or default.events
    names = said.get("capabilities")
    return Health(
        answered=isinstance(said.get("status"), str),
        deployment=Deployment(
            server_instance_id=_name(said.get("server_instance_id")),
            deployment_id=_name(said.get("deployment_id")),
            environment_name=_name(said.get("environment_name")),
            git_sha=_name(said.get("git_sha")),
        ),
        limits=Limits(
            events=min(events, default.events),
            body_bytes=_count(said.get("max_body_bytes")) or default.body_bytes,
        ),
        max_event_bytes=_count(said.get("max_event_bytes")),
        capabilities=tuple(filter(None, map(_name, names))) if isinstance(names, list) else (),
    )


def _name(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    return value[:_LONGEST_NAME].encode(errors="replace").decode()  # half a surrogate pair


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < 2**40 else None
