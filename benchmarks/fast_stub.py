"""A receiver that answers `success` at once, in a process of its own, so that it is no bottleneck.

Prints its port. Scans for ids instead of parsing: the sender is what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_ID = re.compile(rb'\{"event_id":"([0-9A-Z]{26})"')
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class _Answering(asyncio.Protocol):
    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        found = _LENGTH.search(self._buffer, 0, head_end)
        end = head_end + 4 + int(found.group(1) if found else 0)
        if len(self._buffer) < end:
            return
        body = gzip.decompress(bytes(self._buffer[head_end + 4 : end]))
        del self._buffer[:end]
        results = b",".join(
            b'{"event_id":"%b","status":"success"}' % event_id for event_id in _ID.findall(body)
        )
        answer = b'{"results":[%b]}' % results
        reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        loop = asyncio.get_running_loop()
        assert self._transport is not None
        loop.call_later(self._delay_s, self._transport.write, reply % (len(answer), answer))


async def _serve(delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(delay_s), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def fast_stub(delay_ms: float = 0.0) -> Iterator[str]:
    """Run this file as a process of its own and yield its URL."""
    command = [sys.executable, str(Path(__file__)), "--delay-ms", str(delay_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    asyncio.run(_serve(parser.parse_args().delay_ms / 1000))
