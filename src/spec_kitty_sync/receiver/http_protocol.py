"""uvicorn's HTTP/1.1 protocol with a time for headers and a JSON answer to broken requests."""

from __future__ import annotations

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_LINGER_S = 1.0


class PatientProtocol(H11Protocol):
    """Closes a connection whose request headers are not complete in `header_s` seconds."""

    header_s: float = 10.0
    _header_timer: asyncio.TimerHandle | None = None
    _ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        if self._waits_for_headers():
            self._start_timer()
        super().data_received(data)
        if not self._waits_for_headers():
            self._stop_timer()

    def send_400_response(self, msg: str) -> None:
        self._answer(400, "the request is not valid HTTP/1.1")

    def _waits_for_headers(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _start_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.header_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing() and self._waits_for_headers():
            self._answer(408, f"no whole request header within {self.header_s:g} s")

    def _answer(self, status: int, error: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": error, "details": error}).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            response = h11.Response(status_code=status, headers=headers)
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        # Closing with unread input would reset the connection and lose the answer.
        self._ended = True
        self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)


def patient_protocol(header_s: float) -> type[PatientProtocol]:
    """Return the protocol class with its time for headers."""
    return type("Protocol", (PatientProtocol,), {"header_s": header_s})
