"""A TLS server with a certificate as good or bad as a test wants."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import trustme
from rude_server import RudeServer, say


class TlsServer(RudeServer):
    """Answers requests under https://localhost; `requests` is what arrived, decrypted."""

    def __init__(self, certificate: trustme.LeafCert, answer: bytes) -> None:
        super().__init__(say(answer))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def _talk(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as stream:
            super()._talk(stream)


def write_authority(authority: trustme.CA, path: Path) -> Path:
    """Write the certificate of *authority* to *path* and return it."""
    authority.cert_pem.write_to_path(str(path))
    return path
