"""Run the receiver on one port: in this process, or in many that share it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from types import FrameType

from spec_kitty_sync._extras import extra

with extra("receiver"):
    import uvicorn

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.app import app_of
from spec_kitty_sync.receiver.faults import faulty
from spec_kitty_sync.receiver.http_protocol import patient_protocol
from spec_kitty_sync.receiver.logs import log_to_stderr
from spec_kitty_sync.receiver.metrics import SHARED_FOLDER
from spec_kitty_sync.receiver.parts import healthy
from spec_kitty_sync.receiver.service import Receiver
from spec_kitty_sync.receiver.settings import Settings
from spec_kitty_sync.receiver.workers import SharedListener, Workers

_GRACE_S = 10
_KEEP_ALIVE_S = 60
_BACKLOG = 2048


def serve(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    workers: int = 1,
    log_level: str = "warning",
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then end what is running and close the store.

    *ready* gets the base URL once connections are accepted; port 0 takes a free one. A worker
    that dies is replaced.

    Raises:
        UsageError: the address cannot be used, a fault has no such name, or there are several
            workers for a store of one process.
        StoreError: the database cannot be opened.
    """
    log_to_stderr(log_level)
    parts = faulty(healthy(settings), settings.faults)
    if workers > 1 and not parts.database.shared:
        raise UsageError(
            "several workers need a database that they can share",
            remedy="Choose --database postgresql://HOST/DATABASE, or --workers 1.",
        )
    parts.store.open()
    parts.store.close()
    with _listen(host, port) as listener:
        url = _url(listener)
        if workers == 1:
            _work(settings, listener, lambda: ready(url))
            return
        listener.listen(_BACKLOG)
        with _shared_metrics():
            Workers(_worker(settings, listener, log_level), workers).run(lambda: ready(url))


def _worker(
    settings: Settings, listener: socket.socket, log_level: str
) -> Callable[[int, Callable[[], None]], None]:
    def work(number: int, ready: Callable[[], None]) -> None:
        log_to_stderr(log_level, worker=number)
        # One connection per wake-up, so that the other workers get theirs.
        _work(settings, SharedListener(fileno=listener.detach()), ready, backlog=1)

    return work


def _work(
    settings: Settings,
    listener: socket.socket,
    ready: Callable[[], None],
    *,
    backlog: int = _BACKLOG,
) -> None:
    parts = faulty(healthy(settings), settings.faults)
    receiver = Receiver(settings, parts, SystemClock())
    config = uvicorn.Config(
        app_of(receiver),
        http=patient_protocol(settings.limits.header_s),
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=backlog,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        ws_max_size=settings.limits.max_body_bytes,
    )
    server = _Server(config, ready=ready, stopping=receiver.stopping.set)
    asyncio.run(server.serve(sockets=[listener]))


class _Server(uvicorn.Server):
    """Reports when it accepts connections, and ends without raising its signal again."""

    def __init__(
        self, config: uvicorn.Config, *, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping()
        super().handle_exit(sig, frame)

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


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """Let processes that are forked in the block count into one folder."""
    with tempfile.TemporaryDirectory(prefix="spec-kitty-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]


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
