"""Refuses connections to other machines, in the tests and in every Python that they start."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

_MESSAGE = "a test connects to {!r}: only this machine may be reached"


class ForeignHostError(BaseException):
    """No `except OSError` may take this for an unreachable server."""


def _check(address: Any) -> None:
    if not isinstance(address, tuple):
        return  # a socket of the file system
    host = str(address[0]).partition("%")[0]
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        here = host in {"", "localhost"}
    else:
        found = getattr(found, "ipv4_mapped", None) or found
        here = found.is_loopback or found.is_unspecified
    if not here:
        raise ForeignHostError(_MESSAGE.format(host))


def _guarded(name: str) -> Any:
    plain = getattr(socket.socket, name)

    def connect(self: socket.socket, address: Any) -> Any:
        _check(address)
        return plain(self, address)

    return connect


for _name in ("connect", "connect_ex"):
    setattr(socket.socket, _name, _guarded(_name))
