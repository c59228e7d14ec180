"""Refuses connections to other machines, in the tests and in every Python that they start."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

_MESSAGE = "a test connects to {!r}: only this machine may be reached"


class ForeignHostError(BaseException):
    """No `except OSError` may take this for an unreachable server."""


def _check(connecting: socket.socket, address: Any) -> None:
    if not isinstance(address, tuple) or connecting.type == socket.SOCK_DGRAM:
        return  # a socket of the file system, or one that sends nothing by connecting
    host = str(address[0]).partition("%")[0]
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        here = host in {"", "localhost"}
    else:
        found = getattr(found, "ipv4_mapped", None) or found
        here = found.is_loopback or found.is_unspecified or _is_own(str(found))
    if not here:
        raise ForeignHostError(_MESSAGE.format(host))


def _is_own(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _guarded(name: str) -> Any:
    plain = getattr(socket.socket, name)

    def connect(self: socket.socket, address: Any) -> Any:
        _check(self, address)
        return plain(self, address)

    return connect


for _name in ("connect", "connect_ex"):
    setattr(socket.socket, _name, _guarded(_name))
