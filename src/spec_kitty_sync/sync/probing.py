"""Asking the server whether it is there and takes our token (`sync status --check`)."""

from __future__ import annotations

import json
from typing import Any

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._http import HttpClient, Reply
from spec_kitty_sync.delivery.receivers import PROTOCOL_VERSION
from spec_kitty_sync.delivery.urls import HEALTH_PATH, external_endpoint
from spec_kitty_sync.errors import CredentialError, DeliveryError, TargetUrlError
from spec_kitty_sync.events.results import words_of
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.connecting import http_client
from spec_kitty_sync.sync.delivering import token_source
from spec_kitty_sync.sync.gates import look
from spec_kitty_sync.sync.health import read_health
from spec_kitty_sync.sync.status_report import ConnectionSection

_DEADLINE_S = 5.0
_HEADERS = {"X-Spec-Kitty-Sync-Protocol": PROTOCOL_VERSION, "User-Agent": "spec-kitty-sync"}
_NOTHING = b'{"events":[]}'


def probe(settings: Settings, *, clock: Clock) -> ConnectionSection:
    """Return what the resolved server answers to a health request and to a batch without events.

    The batch is sent with the token that a drain would use; it delivers nothing.
    """
    situation = look(settings, clock=clock)
    url = situation.target.resolved_server_url
    assert url is not None, "there is no server to ask"
    try:
        with http_client(situation.config, url, deadline_s=_DEADLINE_S) as client:
            health = client.request("GET", url.rstrip("/") + HEALTH_PATH, headers=_HEADERS)
            try:
                token = token_source(settings, situation).access_token()
            except CredentialError as exc:
                return _section(health, "refused", exc.message)
            return _section(health, *_token_verdict(_ask(client, url, token), token))
    except (DeliveryError, TargetUrlError) as exc:
        return ConnectionSection(True, False, None, exc.message, *[None] * 5)


def _ask(client: HttpClient, url: str, token: str | None) -> Reply:
    headers = {**_HEADERS, "Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return client.request("POST", external_endpoint(url), headers=headers, body=_NOTHING)


def _token_verdict(reply: Reply, token: str | None) -> tuple[str, str | None]:
    """Return a word for the token, and the server's own words where it is not accepted."""
    words = words_of(reply.body)
    said = f"the server answered {reply.status}" + (f": {words}" if words else "")
    if reply.status == 401:
        return "refused", said
    if reply.status == 403:
        return "forbidden", said
    if reply.status in (200, 400, 413, 422, 429) or reply.status >= 500:
        return ("accepted" if token is not None else "not_needed"), None
    return "unknown", said


def _section(health: Reply, token: str, error: str | None) -> ConnectionSection:
    known = read_health(health.body).deployment if health.status == 200 else None
    return ConnectionSection(
        checked=True,
        reachable=True,
        token=token,
        error=error,
        status=_status(health),
        server_instance_id=known.server_instance_id if known else None,
        deployment_id=known.deployment_id if known else None,
        environment_name=known.environment_name if known else None,
        git_sha=known.git_sha if known else None,
    )


def _status(health: Reply) -> str | None:
    if health.status != 200:
        return None
    try:
        said: Any = json.loads(health.body)
    except (ValueError, RecursionError):
        return None
    status = said.get("status") if isinstance(said, dict) else None
    return status[:200] if isinstance(status, str) else None
