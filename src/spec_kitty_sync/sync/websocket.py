"""The live connection: one event per frame out, one ack per event back (CONTRACT 5, WebSocket).

A reader thread takes what the server says; it never touches the store.
"""

from __future__ import annotations

import json
import logging
import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spec_kitty_sync._extras import extra
from spec_kitty_sync.errors import OfflineError, ReceiverProtocolError, TargetUrlError
from spec_kitty_sync.events.results import (
    BatchResult,
    ResultStatus,
    categorize,
    stated_category,
    stated_reason,
)

if TYPE_CHECKING:
    # Whoever emits imports this module, and needs no HTTP for that.
    from websockets.sync.client import ClientConnection

    from spec_kitty_sync.sync.ws_session import WsSession

_LOG = logging.getLogger(__name__)
_OPEN_S = 10.0
_CLOSE_S = 0.25
_ACK_S = 10.0
_LARGEST_FRAME = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WsDeadlines:
    """Seconds to wait for the handshake and the snapshot, for an ack, for the goodbye.

    The goodbye is short: a command may be waiting for it at its end.
    """

    open_s: float = _OPEN_S
    ack_s: float = _ACK_S
    close_s: float = _CLOSE_S


class WebSocketClient:
    """A connection to the server at *server_url*; `exchange` from one thread at a time.

    `login` is the user and the team that the latest session was opened for.

    *open_session* asks for a session each time; *on_clock* gets the Lamport clock of every
    snapshot and of every event of others, on the reader's thread.
    """

    def __init__(
        self,
        server_url: str,
        open_session: Callable[[], WsSession],
        *,
        on_clock: Callable[[int], None],
        deadlines: WsDeadlines | None = None,
    ) -> None:
        self.server_url = server_url
        self._open_session = open_session
        self._on_clock = on_clock
        self._deadlines = deadlines or WsDeadlines()
        self._connection: ClientConnection | None = None
        self._reader: threading.Thread | None = None
        self._answers: queue.SimpleQueue[BatchResult | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        self.login: tuple[str | None, str | None] = (None, None)

    @property
    def connected(self) -> bool:
        """Whether frames can be sent right now."""
        return self._connection is not None and self._ready.is_set()

    def connect(self) -> None:
        """Open a session and wait for its snapshot; nothing happens when connected.

        Raises:
            MissingExtraError: the package `websockets` is not installed.
            OfflineError, ReceiverProtocolError, AuthRejectedError: no session.
        """
        if self.connected:
            return
        self.disconnect()
        session = self._open_session()
        self._connection, self.login = _open(session, self._deadlines), session.login
        begun_or_over = threading.Event()
        self._reader = threading.Thread(
            target=self._read,
            args=(self._connection, begun_or_over),
            name="sync-live",
            daemon=True,
        )
        self._reader.start()
        begun_or_over.wait(self._deadlines.open_s)
        if not self._ready.is_set():
            self.disconnect()
            raise ReceiverProtocolError("the live session sent no snapshot")

    def disconnect(self) -> None:
        """Close the connection, within the deadline for the goodbye."""
        connection, self._connection = self._connection, None
        self._ready.clear()
        if connection is not None:
            connection.close()
        if self._reader is not None:
            self._reader.join(self._deadlines.close_s)
            self._reader = None

    def exchange(self, event_id: str, body: bytes) -> BatchResult | None:
        """Send one event and return the server's word on it; None without one in time."""
        connection = self._connection
        if connection is None or not self.connected:
            return None
        while not self._answers.empty():  # late answers of earlier events
            self._answers.get()
        try:
            connection.send(b'{"type":"event","event":%b}' % body, text=True)
        except _closed() as exc:
            _LOG.info("the live session ended: %s", exc)
            self._ready.clear()
            return None
        return self._await(event_id)

    def _await(self, event_id: str) -> BatchResult | None:
        while True:
            try:
                answer = self._answers.get(timeout=self._deadlines.ack_s)
            except queue.Empty:
                # Whatever comes later may be taken for the answer to another event.
                self._ready.clear()
                return None
            if answer is None or answer.event_id == event_id:
                return answer

    def _read(self, connection: ClientConnection, begun_or_over: threading.Event) -> None:
        """Take frames until the connection ends; then nobody waits for anything any more."""
        try:
            for frame in connection:
                self._take(connection, frame)
                if self._ready.is_set():
                    begun_or_over.set()
        except _closed() as exc:
            _LOG.info("the live session ended: %s", exc)
        finally:
            self._ready.clear()
            self._answers.put(None)
            begun_or_over.set()

    def _take(self, connection: ClientConnection, frame: str | bytes) -> None:
        try:
            said = json.loads(frame)
        except (ValueError, RecursionError):
            return
        if not isinstance(said, dict):
            return
        match said.get("type"):
            case "snapshot":
                self._note(said.get("lamport_clock"))
                self._ready.set()
            case "event":
                event = said.get("event")
                self._note(event.get("lamport_clock") if isinstance(event, dict) else None)
            case "ping":
                connection.send('{"type":"pong"}')
            case "ack" | "error":
                answer = read_answer(said)
                if answer is not None:
                    self._answers.put(answer)

    def _note(self, lamport_clock: Any) -> None:
        if type(lamport_clock) is int:
            self._on_clock(lamport_clock)


def read_answer(said: dict[str, Any]) -> BatchResult | None:
    """Return what an `ack` or `error` frame says of its event; None where it names none."""
    event_id, status = said.get("event_id"), said.get("status")
    if not isinstance(event_id, str):
        return None
    if said["type"] == "ack" and status == "accepted":
        return BatchResult(event_id, ResultStatus.SUCCESS)
    if said["type"] == "ack" and status == "duplicate":
        return BatchResult(event_id, ResultStatus.DUPLICATE)
    reason = stated_reason(said) or "refused, no reason"
    if said["type"] == "error" and status == "rejected":
        category = stated_category(said) or categorize(reason)
        return BatchResult(event_id, ResultStatus.REJECTED, reason, category)
    return BatchResult(event_id, ResultStatus.FAILED_TRANSIENT, reason, "server_error")


def _open(session: WsSession, deadlines: WsDeadlines) -> ClientConnection:
    """Connect by a socket of our own: no proxy of the environment, no followed redirect."""
    from spec_kitty_sync._http import tls_context

    with extra("websocket"):
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect
    headers = {"Authorization": f"Bearer {session.ws_token}"} if session.ws_token else {}
    secure = urlsplit(session.ws_url).scheme == "wss"
    context = tls_context(session.ca_file) if secure else None
    try:
        connecting = connect(
            session.ws_url,
            sock=_dial(session.ws_url, deadlines.open_s),
            ssl=context,
            proxy=None,
            compression=None,
            additional_headers=headers,
            open_timeout=deadlines.open_s,
            close_timeout=deadlines.close_s,
            max_size=_LARGEST_FRAME,
        )
        # Entered by hand: the connection outlives this function, `disconnect` closes it.
        return connecting.__enter__()
    except (OSError, WebSocketException, ValueError) as exc:
        # The message of a failed handshake may repeat headers.
        raise OfflineError(f"no live session: {type(exc).__name__}") from None


def _dial(ws_url: str, deadline_s: float) -> socket.socket:
    """Return a connection to the host of *ws_url*; without TLS, to this machine only."""
    from spec_kitty_sync._http import check_peer

    parts = urlsplit(ws_url)
    host, secure = parts.hostname or "", parts.scheme == "wss"
    raw = socket.create_connection((host, parts.port or (443 if secure else 80)), deadline_s)
    try:
        if not secure:
            check_peer(host, raw.getpeername()[0])
    except TargetUrlError as exc:
        raw.close()
        raise ReceiverProtocolError(f"no live session: {exc.message}") from None
    return raw


def _closed() -> type[Exception]:
    from websockets.exceptions import ConnectionClosed

    return ConnectionClosed
