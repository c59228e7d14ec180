"""Run the receiver: one process, one port, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.app import build_app
from spec_kitty_sync.receiver.faults import faulty
from spec_kitty_sync.receiver.http_protocol import patient_protocol
from spec_kitty_sync.receiver.parts import healthy
from spec_kitty_sync.receiver.settings import Settings

_GRACE_S = 10
_KEEP_ALIVE_S = 60


def serve(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then end what is running and close the store.

    *ready* gets the base URL once connections are accepted; port 0 takes a free one.

    Raises:
        UsageError: the address cannot be used, or a fault has no such name.
        StoreError: the database cannot be opened.
    """
    parts = faulty(healthy(settings), settings.faults)
    parts.store.open()
    parts.store.close()
    listener = _listen(host, port)
    config = uvicorn.Config(
        build_app(settings, parts=parts),
        http=patient_protocol(settings.limits.header_s),
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        ws_max_size=settings.limits.max_body_bytes,
    )
    server = _Server(config, lambda: ready(_url(listener)))
    with listener:
        asyncio.run(server.serve(sockets=[listener]))


class _Server(uvicorn.Server):
    """Reports when it accepts connections, and ends without raising its signal again."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handled = (signal.SIGTERM, signal.SIGINT)
        for number in handled:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle off only on sockets that say they are TCP; without it every answer on a
    # kept connection waits 40 ms for the delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise UsageError(
            f"cannot listen on {host}:{port}: {exc.strerror or exc}",
            remedy="Choose another --port, or 0 for a free one.",
        ) from exc
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
