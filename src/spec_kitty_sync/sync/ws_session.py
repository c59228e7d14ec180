"""A WebSocket session's address and token, asked of the server (CONTRACT 5, WebSocket)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from spec_kitty_sync._http import HttpClient, Reply
from spec_kitty_sync._urls import is_loopback
from spec_kitty_sync.delivery.receivers import PROTOCOL_VERSION, CredentialSource
from spec_kitty_sync.errors import AuthRejectedError, ReceiverProtocolError

WS_TOKEN_PATH = "/api/v1/ws-token"


@dataclass(frozen=True, slots=True)
class WsSession:
    """Where to connect, with which token, good for this session only; whose CA to trust there.

    `login`: the user and the team that it was opened for.
    """

    ws_url: str
    ws_token: str | None = field(repr=False)
    ca_file: Path | None = None
    login: tuple[str | None, str | None] = (None, None)


def ask_session(server_url: str, client: HttpClient, credentials: CredentialSource) -> WsSession:
    """Return a new session, renewing a refused token once.

    Raises:
        AuthRejectedError: the server does not accept the token.
        ReceiverProtocolError: it offers no session that may be used.
        TransportError: it does not answer.
    """
    reply = _post(server_url, client, credentials)
    if reply.status == 401 and credentials.refresh():
        reply = _post(server_url, client, credentials)
    if reply.status in (401, 403):
        raise AuthRejectedError("the server does not accept the token for a live session")
    if reply.status != 200:
        raise ReceiverProtocolError(f"no live session: the server answered {reply.status}")
    return _read(server_url, reply.body)


def _post(server_url: str, client: HttpClient, credentials: CredentialSource) -> Reply:
    headers = {"X-Spec-Kitty-Sync-Protocol": PROTOCOL_VERSION, "User-Agent": "spec-kitty-sync"}
    token = credentials.access_token()
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return client.request("POST", server_url.rstrip("/") + WS_TOKEN_PATH, headers=headers, body=b"")


def _read(server_url: str, body: bytes) -> WsSession:
    """Read an answer; no message repeats it, since it holds a token."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    url = said.get("ws_url") if isinstance(said, dict) else None
    token = said.get("ws_token") if isinstance(said, dict) else None
    if not isinstance(url, str) or not (token is None or isinstance(token, str)):
        raise ReceiverProtocolError("no live session: the answer has no ws_url")
    _check_url(url, server_url)
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ReceiverProtocolError("no live session: its token does not fit in a header")
    return WsSession(url, token or None)


def _check_url(url: str, server_url: str) -> None:
    """Refuse an address that would carry events or the token to anybody else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ReceiverProtocolError("no live session: ws_url is no URL") from None
    if host != urlsplit(server_url).hostname or parts.username is not None or port == 0:
        raise ReceiverProtocolError("no live session: ws_url names another host")
    plain = parts.scheme == "ws" and is_loopback(f"http://{parts.netloc}")
    if parts.scheme != "wss" and not plain:
        raise ReceiverProtocolError("no live session: ws_url is not wss")
