"""One question before all others: is there a receiver at that address that lets us in?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from spec_kitty_sync.conformance.client import Client, NoConnection
from spec_kitty_sync.conformance.exchange import Request
from spec_kitty_sync.conformance.probe import Probe, Surroundings
from spec_kitty_sync.conformance.reply import Reply, shorten

_HEALTH_LIMITS = ("max_batch_events", "max_event_bytes", "max_body_bytes")
_IDENTITY = ("server_instance_id", "deployment_id", "environment_name", "git_sha")


@dataclass(frozen=True)
class Preflight:
    """What the receiver says about itself, and the one sentence that ends the run, if any."""

    problem: str = ""
    remedy: str = ""
    exit_code: int = 4
    environment_name: str = ""
    capabilities: tuple[str, ...] = ()
    limits: tuple[tuple[str, int], ...] = ()
    health_status: int | None = None
    identity: tuple[tuple[str, str], ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problem


def preflight(around: Surroundings, *, allow_production: bool = True) -> Preflight:
    """Ask for health, then post one valid event; never raises for what the receiver does.

    Nothing is posted to a server that calls itself production, unless *allow_production*.
    """
    client = Client(around.address, around.deadline_s)
    probe = Probe(around, "preflight", client=client)
    try:
        health = read_health(probe)
        if health.get("environment_name") == "production" and not allow_production:
            return Preflight(
                "this server says that it is production, and the suite leaves events behind",
                "Judge a test server, or give --sk-allow-production.",
                **health,
            )
        reply = probe.post([probe.make.event()], note="preflight: one valid event")
    except NoConnection as exc:
        return Preflight(str(exc), exc.remedy)
    finally:
        client.close()
    problem, remedy, exit_code = _problem(reply, around.token is not None)
    return Preflight(problem, remedy, exit_code, **health)


def read_health(probe: Probe) -> dict[str, Any]:
    """Return name, capabilities and limits from the health answer, where it gives them."""
    ask = Request("GET", probe.around.address.health_path, probe.head(), note="preflight: health")
    reply = probe.send(ask)
    body = reply.json if reply.status == 200 else None
    facts: dict[str, Any] = {"health_status": reply.status}
    if not isinstance(body, dict):
        return facts
    name, claimed = body.get("environment_name"), body.get("capabilities")
    if isinstance(name, str):
        facts["environment_name"] = name
    told = [(key, body.get(key)) for key in _IDENTITY]
    facts["identity"] = tuple((key, value) for key, value in told if isinstance(value, str))
    found = [(key, body.get(key)) for key in _HEALTH_LIMITS]
    facts["limits"] = tuple((key, value) for key, value in found if type(value) is int)
    facts["capabilities"] = _capabilities(claimed, dict(facts["limits"]))
    return facts


def _capabilities(claimed: object, limits: dict[str, int]) -> tuple[str, ...]:
    words = [word for word in claimed if isinstance(word, str)] if isinstance(claimed, list) else []
    if {"max_event_bytes", "max_body_bytes"} & limits.keys() and "size-limit" not in words:
        words.append("size-limit")  # whoever says how large is too large claims to hold to it
    return tuple(words)


def _problem(reply: Reply, has_token: bool) -> tuple[str, str, int]:
    response = reply.exchange.response
    url = reply.exchange.request.path
    if response is None:
        return (
            f"something listens there, but POST {url} got no whole answer: {reply.exchange.broke}",
            "Look at the receiver's own log; raise --sk-deadline if it is only slow.",
            4,
        )
    if response.status in {401, 403}:
        remedy = (
            "Set another SK_TOKEN, or name its variable with --sk-token-env NAME."
            if has_token
            else "Set SK_TOKEN, or name the variable of the token with --sk-token-env NAME."
        )
        word = "refused the token" if has_token else "asks for a token"
        return f"the receiver {word} (HTTP {response.status})", remedy, 4
    if response.status in {404, 405, 410} or 300 <= response.status < 400:
        return (
            f"nothing takes batches at POST {url} (HTTP {response.status})",
            "Give the URL of the server, or the full URL of its batch endpoint.",
            4,
        )
    return _not_json(response.status, response.text, response.header("Content-Type"))


def _not_json(status: int, text: str, kind: str | None) -> tuple[str, str, int]:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return (
            f"a valid batch was answered HTTP {status} with {kind or 'an untyped body'}, not JSON:"
            f" {shorten(text, 60)!r}",
            "Check that the URL is the receiver and no proxy, login page or website before it.",
            1 if status == 200 else 4,
        )
    return "", "", 4
