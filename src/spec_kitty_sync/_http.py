"""The runtime's only HTTP: one deadline per request, bounded answers, no redirects, no proxies.

Tokens go where the caller sends them and nowhere else: no environment proxy, no followed
redirect, plain http only to this machine unless asked for.
"""

from __future__ import annotations

import ipaddress
import ssl
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, cast

from spec_kitty_sync.errors import (
    CredentialError,
    DeadlineError,
    OfflineError,
    ResponseTooLargeError,
    TargetUrlError,
    TlsError,
    TransportError,
)

# httpx imports its own command line, and with it rich and pygments, where those are installed:
# 6 MiB and as long again as everything else it needs. It copes with their absence.
_NO_COMMAND_LINE = "httpx._main"
if _NO_COMMAND_LINE not in sys.modules:
    sys.modules[_NO_COMMAND_LINE] = cast("ModuleType", None)

import certifi  # noqa: E402  (after the line above)
import httpcore  # noqa: E402  (after the line above)
import httpx  # noqa: E402  (after the line above)

if sys.modules[_NO_COMMAND_LINE] is None:
    del sys.modules[_NO_COMMAND_LINE]


DEFAULT_DEADLINE_S = 60.0
ANSWER_BASE_BYTES = 64 * 1024
ANSWER_BYTES_PER_EVENT = 8 * 1024
_WRITE_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came: untrusted. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class HttpClient:
    """One kept-open client; one request at a time.

    `allow_http` permits plain http to other machines, `ca_file` trusts one more authority.
    """

    def __init__(
        self,
        *,
        allow_http: bool = False,
        ca_file: Path | None = None,
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> None:
        self._allow_http = allow_http
        self._deadline_s = deadline_s
        self._budget = _Budget()
        self._client = httpx.Client(
            transport=_Transport(self._budget, ca_file, allow_http=allow_http),
            trust_env=False,
            follow_redirects=False,
            timeout=None,
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit_bytes: int = ANSWER_BASE_BYTES,
    ) -> Reply:
        """Send one request and return its answer, whatever its status.

        The deadline covers everything from the connection to the last byte of the answer.

        Raises:
            OfflineError: nothing was sent: no connection, DNS, TLS (TlsError).
            DeadlineError, TransportError: the request may have been received.
            ResponseTooLargeError: the answer is longer than *limit_bytes*.
            TargetUrlError: plain http to another machine, or no usable URL.
            CredentialError: a header, such as the token's, holds what no header may.
        """
        self._check(url)
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        _check_headers(sent)
        self._budget.start(self._deadline_s)
        try:
            with self._client.stream(method, url, headers=sent, content=body) as response:
                return Reply(
                    response.status_code,
                    {name.lower(): value for name, value in response.headers.items()},
                    _read(response, limit_bytes),
                )
        except (httpcore.TimeoutException, httpx.TimeoutException) as exc:
            raise self._late() from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as exc:
            raise self._broken(exc) from exc

    def _check(self, url: str) -> None:
        try:
            parsed = httpx.URL(url)
            usable = bool(parsed.host) and parsed.scheme in ("http", "https")
        except (httpx.InvalidURL, UnicodeError):  # the latter: a host that is no IDNA
            usable = False
        if not usable:
            raise TargetUrlError("this server URL cannot be used")
        if parsed.scheme == "http" and not (self._allow_http or _is_loopback(parsed.host)):
            raise in_the_clear(parsed.host)

    def _late(self) -> TransportError:
        if not self._budget.written:
            return OfflineError("no connection within the deadline")
        return DeadlineError(f"no complete answer within {self._deadline_s:g} s")

    def _broken(self, exc: Exception) -> TransportError:
        if isinstance(exc, ssl.SSLError) or isinstance(exc.__context__, ssl.SSLError):
            return TlsError(
                f"the server's certificate was not accepted: {_reason(exc)}",
                remedy="Check the host name with `spec-kitty sync server`, and the certificate; "
                "`spec-kitty sync server URL --ca-file FILE` trusts a private authority.",
            )
        if not self._budget.written:
            return OfflineError(f"no connection: {_reason(exc)}")
        return TransportError(f"the connection broke before a complete answer: {_reason(exc)}")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts the packaged authorities, *ca_file*'s, and no variable.

    `ssl.create_default_context` obeys SSLKEYLOGFILE, and whoever set it could read the tokens.

    Raises:
        TlsError: *ca_file* is gone, or holds no certificate any more.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as exc:  # an SSLError too
            raise TlsError(
                f"the CA file {ca_file} cannot be used: {exc.strerror or 'no certificate in it'}",
                remedy="Name the right one: `spec-kitty sync server URL --ca-file FILE`.",
            ) from exc
    return context


def _reason(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__


def check_peer(host: str, peer: str) -> None:
    """Refuse a plain connection for *host* that the resolver led to another machine, *peer*.

    Raises:
        TargetUrlError: nothing was sent.
    """
    if not _is_loopback_address(peer):
        raise in_the_clear(host)


def in_the_clear(host: str) -> TargetUrlError:
    """Return the refusal of plain http to *host*, another machine."""
    return TargetUrlError(
        f"plain http to {host} would show the token to the network",
        remedy="Use https://, or run `spec-kitty sync server URL --allow-http` if you trust the "
        "network.",
    )


def _is_loopback(host: str) -> bool:
    local_name = host == "localhost" or host.endswith(".localhost")
    return local_name or _is_loopback_address(host)


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_headers(headers: Mapping[str, str]) -> None:
    # The libraries below quote the whole header, and with it the token, in their errors.
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise CredentialError(
                f"the {name} header would hold a line break, a blank at its end or another "
                "character that no header may",
                remedy="Set the token anew, without line breaks; then the same command again.",
            )


def _read(response: httpx.Response, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in response.iter_raw():
        size += len(part)
        if size > limit_bytes:
            raise ResponseTooLargeError(f"the answer is longer than {limit_bytes} bytes")
        parts.append(part)
    return b"".join(parts)


class _Budget:
    """What is left of the current request's time, and whether any of it reached the wire."""

    def __init__(self) -> None:
        self._end = 0.0
        self.written = False

    def start(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.written = False

    def left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the deadline has passed")
        return left


class _Stream(httpcore.NetworkStream):
    """A socket whose every step is bounded by the request's own deadline."""

    def __init__(self, inner: httpcore.NetworkStream, budget: _Budget) -> None:
        self._inner = inner
        self._budget = budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._budget.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_CHUNK):
            left = self._budget.left()
            self._budget.written = True
            self._inner.write(buffer[start : start + _WRITE_CHUNK], left)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._budget.left()
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        self._inner.close()


class _Backend(httpcore.SyncBackend):
    def __init__(self, budget: _Budget, *, loopback_only: bool) -> None:
        super().__init__()
        self._budget = budget
        self._loopback_only = loopback_only

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._budget.left()
        inner = super().connect_tcp(host, port, left, local_address, socket_options)
        if self._loopback_only:
            try:
                check_peer(host, inner.get_extra_info("server_addr")[0])
            except TargetUrlError:
                inner.close()
                raise
        return _Stream(inner, self._budget)


class _Transport(httpx.BaseTransport):
    """httpx's default transport, over a backend that knows the deadline."""

    def __init__(self, budget: _Budget, ca_file: Path | None, *, allow_http: bool) -> None:
        self._budget = budget
        self._ca_file = ca_file
        self._allow_http = allow_http
        self._pools: dict[bytes, httpcore.ConnectionPool] = {}

    def _pool(self, scheme: bytes) -> httpcore.ConnectionPool:
        if scheme not in self._pools:
            secure = scheme == b"https"
            self._pools[scheme] = httpcore.ConnectionPool(
                # A TLS context costs 17 ms.
                ssl_context=tls_context(self._ca_file) if secure else None,
                max_connections=1,
                network_backend=_Backend(
                    self._budget, loopback_only=not (secure or self._allow_http)
                ),
            )
        return self._pools[scheme]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = self._pool(url.raw_scheme).handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.read(),
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Answer(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class _Answer(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Any:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()
