"""The kit's own HTTP client: sends exactly what it is told, records everything."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from spec_kitty_sync.conformance.exchange import Exchange, Request, Response

BATCH_PATH = "/api/v1/events/batch/"
HEALTH_PATH = "/api/v1/sync/health/"
TOOK_NONE = "took no connection within"
_SETTLE_S = 0.1
_ANSWER_LIMIT_BYTES = 64 * 1024 * 1024


class NoConnection(Exception):
    """No connection could be made, so the receiver cannot be judged; the text says why."""

    def __init__(self, why: str, remedy: str = "Start the receiver, or correct the URL.") -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True)
class Address:
    """Where the receiver listens: its origin, the batch path and the health path."""

    scheme: str
    host: str
    port: int
    batch_path: str = BATCH_PATH
    health_path: str = HEALTH_PATH

    @classmethod
    def parse(cls, url: str) -> Address:
        """Return the address of *url*; a URL with a path is the batch endpoint itself.

        Raises:
            ValueError: no http(s) URL with a host, or it carries a user, a query or a fragment.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is not an http:// or https:// URL with a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the URL must not carry a user, a query or a fragment")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        path = BATCH_PATH if parts.path in {"", "/"} else parts.path
        base = path.removesuffix(BATCH_PATH) if path.endswith(BATCH_PATH) else ""
        return cls(parts.scheme, parts.hostname, port, path, base + HEALTH_PATH)

    @property
    def url(self) -> str:
        """The full URL of the batch endpoint."""
        return self.origin + self.batch_path

    @property
    def is_local(self) -> bool:
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class _WithoutEnd(TimeoutError):
    """The answer began and its end did not come; the text says what it promised."""


@dataclass
class Client:
    """Sends one request at a time over a kept connection; use one client per thread.

    `deadline_s` bounds the connection and each wait for bytes, twice that the whole answer;
    `via` is a TCP proxy to go through. After a refusal (400 and above) it connects anew, so that
    what one request left behind harms no other; `keeps_refused` goes on where it may.
    """

    address: Address
    deadline_s: float = 10.0
    via: tuple[str, int] | None = None
    keeps_refused: bool = False
    _kept: http.client.HTTPConnection | None = field(default=None, repr=False)
    _given_up: bool = field(default=False, repr=False)

    def send(self, request: Request, *, fresh: bool = False, chunked: bool = False) -> Exchange:
        """Send *request* and return what came back, or why nothing did.

        *fresh* uses a connection of its own. A connection that breaks after it was made is the
        receiver's doing and comes back in `Exchange.broke`.

        Raises:
            NoConnection: the connection could not be made at all.
        """
        connection = self._connection(fresh)
        started_ms, started = time.time_ns() // 1_000_000, time.perf_counter()
        response, broke = None, ""
        with _cut_after(connection.sock, 2 * self.deadline_s) as late:
            try:
                _write(connection, request, chunked)
                response = _read(connection)
            except TimeoutError as exc:
                told = str(exc) if isinstance(exc, _WithoutEnd) else "no answer"
                broke = f"{told} within {self.deadline_s:g} s"
            except (OSError, http.client.HTTPException) as exc:
                broke = f"connection broke before a complete answer ({_words(exc)})"
        if late.is_set():
            response, broke = None, f"no complete answer within {2 * self.deadline_s:g} s"
        elapsed_ms = (time.perf_counter() - started) * 1000
        refused = response is not None and response.status >= 400 and not self.keeps_refused
        if fresh or refused or response is None or _closes(response):
            self._drop(connection)
        return Exchange(request, response, broke, started_ms, elapsed_ms)

    def connect(self) -> socket.socket:
        """Return a raw connected socket (TLS done), for requests no HTTP library would send."""
        return self._socket()

    def comes_back(self, within_s: float) -> bool:
        """Wait until connections are accepted again, and stay; return whether they are in time.

        Whoever was waited for in vain is asked only once more at each later call.
        """
        until = time.monotonic() + (0 if self._given_up else within_s)
        while not (found := self._is_served()) and time.monotonic() < until:
            time.sleep(_SETTLE_S)
        self._given_up = not found
        return found

    def _is_served(self) -> bool:
        try:
            sock = self._socket()
        except OSError:
            return False
        with sock:
            # A process that is ending may still accept: it hangs up at once.
            return not select.select([sock], [], [], _SETTLE_S)[0]

    def warm_up(self) -> None:
        """Connect now, so that the next request goes out at once."""
        self._connection(fresh=False)

    def close(self) -> None:
        """Close the kept connection."""
        if self._kept is not None:
            self._drop(self._kept)

    def _connection(self, fresh: bool) -> http.client.HTTPConnection:
        if fresh:
            return self._open()
        if self._kept is not None and _is_stale(self._kept):
            self._drop(self._kept)
        if self._kept is None:
            self._kept = self._open()
        return self._kept

    def _open(self) -> http.client.HTTPConnection:
        address = self.address
        connection = http.client.HTTPConnection(address.host, address.port)
        try:
            connection.sock = self._socket()
        except ssl.SSLError as exc:
            raise NoConnection(
                f"TLS with {self.address.origin} failed: {_words(exc)}",
                "Name the certificate in SSL_CERT_FILE, or use http on localhost.",
            ) from exc
        except socket.gaierror as exc:
            raise NoConnection(f"the name {self.address.host} does not resolve") from exc
        except TimeoutError as exc:
            raise NoConnection(
                f"{self.address.origin} {TOOK_NONE} {self.deadline_s:g} s: it is out of reach, or"
                " serves one connection at a time and waits on another"
            ) from exc
        except OSError as exc:
            raise NoConnection(
                f"nothing accepts connections at {self.address.origin} ({_words(exc)})"
            ) from exc
        return connection

    def _socket(self) -> socket.socket:
        address = self.address
        raw = socket.create_connection(self.via or (address.host, address.port), self.deadline_s)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.scheme == "http":
            return raw
        try:
            return ssl.create_default_context().wrap_socket(raw, server_hostname=address.host)
        except OSError:
            raw.close()
            raise

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        if connection is self._kept:
            self._kept = None


@contextmanager
def _cut_after(sock: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Shut *sock* down after *seconds*, and say so: an answer that drips must not last for ever."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _write(connection: http.client.HTTPConnection, request: Request, chunked: bool) -> None:
    connection.putrequest(request.method, request.path, skip_accept_encoding=True)
    for name, value in request.headers:
        connection.putheader(name, value.encode("utf-8"))
    body: bytes | Iterator[bytes] | None = request.body or None
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
        body = (request.body[at : at + 1000] for at in range(0, len(request.body), 1000))
    elif request.header("Content-Length") is None and request.method not in {"GET", "HEAD"}:
        connection.putheader("Content-Length", str(len(request.body)))
    try:
        connection.endheaders(body, encode_chunked=chunked)
    except (BrokenPipeError, ConnectionResetError, TimeoutError):
        # A receiver may answer before it has read everything, and read no further; its answer is
        # already here.
        if not _readable(connection, 1.0):
            raise


def _read(connection: http.client.HTTPConnection) -> Response:
    answer = connection.getresponse()
    try:
        return _response(answer)
    except TimeoutError as exc:
        if answer.chunked:
            promised = "it is chunked, and the last chunk is missing"
        elif answer.length is None:
            promised = "neither Content-Length nor chunks, and the connection stays open"
        else:
            promised = f"fewer bytes than its Content-Length of {answer.headers['Content-Length']}"
        raise _WithoutEnd(f"HTTP {answer.status}, but no end of its body ({promised})") from exc
    finally:
        answer.close()


def _response(answer: http.client.HTTPResponse) -> Response:
    body = answer.read(_ANSWER_LIMIT_BYTES)
    return Response(answer.status, tuple(answer.getheaders()), body)


def _closes(response: Response) -> bool:
    return (response.header("Connection") or "").lower() == "close"


def _is_stale(connection: http.client.HTTPConnection) -> bool:
    # Between requests nothing may arrive: readable means closed, or bytes that belong to no one.
    return connection.sock is None or _readable(connection, 0)


def _readable(connection: http.client.HTTPConnection, seconds: float) -> bool:
    if connection.sock is None:
        return False
    return bool(select.select([connection.sock], [], [], seconds)[0])


def _words(exc: BaseException) -> str:
    return (getattr(exc, "strerror", None) or str(exc) or type(exc).__name__).strip()
