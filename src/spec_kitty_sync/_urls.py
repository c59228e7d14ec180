"""What a server's address may look like, and when two of them are the same."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from spec_kitty_sync.errors import TargetUrlError

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9_.-]+").fullmatch
_LOCAL = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?/?").fullmatch
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*").fullmatch


def canonical_url(url: str) -> str:
    """Return the one spelling of *url*: scheme and host in lower case, IDNA, no default port.

    The trailing slash goes; path and query keep their case. This is the identity of a target.

    Raises:
        TargetUrlError: not http(s), no host, credentials or a fragment inside, control
            characters, or a link-local address.
    """
    return _spelled(url, _split(url).path.rstrip("/"))


def tidy_url(url: str) -> str:
    """Return *url* with the canonical origin and its path as given: where requests go.

    The origin is spelled in one way because a token belongs to it.

    Raises:
        TargetUrlError: see `canonical_url`.
    """
    path = _split(url).path
    return _spelled(url, "" if path == "/" else path)


def _spelled(url: str, path: str) -> str:
    parts = _split(url)
    host = _host(parts)
    port = _port(parts)
    netloc = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{netloc}{path}{query}"


def origin(url: str) -> str:
    """Return scheme, host and port of *url*: what a token belongs to."""
    parts = urlsplit(canonical_url(url))
    return f"{parts.scheme}://{parts.netloc}"


def same_origin(one: str, other: str) -> bool:
    """Whether what belongs to *one* may be used at *other*; never where either is no usable URL."""
    try:
        return origin(one) == origin(other)
    except TargetUrlError:
        return False


def is_loopback(url: str) -> bool:
    """Whether *url* stays on this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise _refused("it contains blanks or control characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _refused("it is no URL") from None
    if parts.scheme not in _PORTS:
        raise _refused("it must start with https:// or http://", remedy=_meant(url))
    if parts.username is not None or parts.password is not None:
        raise _refused("it contains a user name or password")
    if parts.fragment:
        raise _refused("it contains a fragment")
    return parts


def _host(parts: SplitResult) -> str:
    name = (parts.hostname or "").removesuffix(".")
    if not name:
        raise _refused("it has no host")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _host_name(name)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if (mapped or address).is_link_local:
        raise _refused("it is a link-local address")
    return f"[{address}]" if address.version == 6 else str(address)


def _host_name(name: str) -> str:
    try:
        host = name.encode("idna").decode().lower()
    except UnicodeError:
        raise _refused("its host name is not valid") from None
    # "2852039166" and "0xa9.254" are addresses to the resolver, whatever they look like.
    if not _HOST(host) or _NUMBER(host.rpartition(".")[2]):
        raise _refused("its host name is not valid")
    return host


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise _refused("its port is not valid") from None


def _meant(url: str) -> str | None:
    """Return the remedy for an address on this machine that lacks only its scheme."""
    return f"Run `spec-kitty sync server http://{url}`." if _LOCAL(url) else None


def _refused(why: str, *, remedy: str | None = None) -> TargetUrlError:
    # The URL itself is not repeated: it may hold a password.
    return TargetUrlError(f"this server URL cannot be used: {why}", remedy=remedy)
