"""A TLS server for one connection, with a certificate as good or bad as a test wants."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import trustme
from rude_server import read_request


class TlsServer:
    """Answers one request under https://localhost; `request` is what arrived, decrypted."""

    def __init__(self, certificate: trustme.LeafCert, answer: bytes) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.request = b""

    def __enter__(self) -> TlsServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                with connection, self._context.wrap_socket(connection, server_side=True) as stream:
                    self.request += read_request(stream)
                    stream.sendall(self._answer)
            except OSError:
                pass


def write_authority(authority: trustme.CA, path: Path) -> Path:
    """Write the certificate of *authority* to *path* and return it."""
    authority.cert_pem.write_to_path(str(path))
    return path
