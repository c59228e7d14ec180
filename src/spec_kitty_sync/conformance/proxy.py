"""A TCP proxy that does one thing wrong: the network between sender and receiver."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)


class Fault(StrEnum):
    """What the network does."""

    NONE = "none"
    CUT_BEFORE_ANSWER = "the answer never arrives"
    CUT_WITHIN_ANSWER = "the answer breaks off after its first bytes"
    SEND_TWICE = "the request arrives twice, the second time on a connection of its own"
    DRIP = "every byte travels alone"


class FaultProxy:
    """Listens on localhost and passes every connection on to one receiver, with one fault.

    `answered` is set when the receiver began to answer; `saw_200` tells whether with 200.
    TLS passes through untouched (but its answers cannot be read, so `saw_200` stays false).
    """

    def __init__(self, host: str, port: int, fault: Fault = Fault.NONE) -> None:
        self._upstream = (host, port)
        self._fault = fault
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.answered = threading.Event()
        self.saw_200 = False

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect instead of the receiver."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def __enter__(self) -> FaultProxy:
        self._run(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A listener that is only closed leaves its thread in accept(); shutdown wakes it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            _close(sock)
        for thread in self._threads:
            thread.join(5)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                upstream = socket.create_connection(self._upstream, 10)
            except OSError:
                return
            self._open += [client, upstream]
            copies = [upstream]
            if self._fault is Fault.SEND_TWICE:
                second = socket.create_connection(self._upstream, 10)
                self._open.append(second)
                copies.append(second)
                self._run(self._drain, second)
            self._run(self._forward, client, copies)
            self._run(self._answer, upstream, client)

    def _forward(self, client: socket.socket, copies: list[socket.socket]) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_CHUNK):
                for copy in copies:
                    _send(copy, data, self._fault is Fault.DRIP)
            for copy in copies:
                copy.shutdown(socket.SHUT_WR)

    def _answer(self, upstream: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := upstream.recv(_CHUNK):
                self.saw_200 |= data.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
                self.answered.set()
                if self._fault is Fault.CUT_BEFORE_ANSWER:
                    return _abort(client)
                if self._fault is Fault.CUT_WITHIN_ANSWER:
                    client.sendall(data[:12])
                    return _abort(client)
                _send(client, data, self._fault is Fault.DRIP)
        self.answered.set()
        _close(client)
        return None

    def _drain(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while sock.recv(_CHUNK):
                pass


def _send(sock: socket.socket, data: bytes, drip: bool) -> None:
    if not drip:
        sock.sendall(data)
        return
    for at in range(len(data)):
        sock.sendall(data[at : at + 1])


def _abort(sock: socket.socket) -> None:
    # Linger 0 sends a reset, as a lost network does; a polite end would deliver the bytes before.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    _close(sock)


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
