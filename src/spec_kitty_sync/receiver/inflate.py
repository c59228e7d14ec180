"""Request bodies, decoded while they arrive and cut off at the limit."""

from __future__ import annotations

import zlib
from typing import Protocol

from spec_kitty_sync.receiver.refusal import Refusal, malformed, too_large

_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class BodyDecoder(Protocol):
    """Takes the body in pieces, gives it back whole."""

    def feed(self, chunk: bytes) -> None:
        """Take the next piece.

        Raises:
            Refusal: 400 for broken data, 413 for more than the limit.
        """
        ...

    def finish(self) -> bytes:
        """Return the decoded body.

        Raises:
            Refusal: 400, the data end too early.
        """
        ...


def body_decoder(encoding: str, limit_bytes: int) -> BodyDecoder:
    """Return the decoder for the header Content-Encoding.

    Raises:
        Refusal: 415, neither gzip nor identity.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return Identity(limit_bytes)
    if name in ("gzip", "x-gzip"):
        return Gzip(limit_bytes)
    raise Refusal(
        415,
        "Content-Encoding is neither gzip nor identity",
        headers={"Accept-Encoding": "gzip, identity"},
    )


class Identity:
    """A body without encoding."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._body = bytearray()

    def feed(self, chunk: bytes) -> None:
        self._body += chunk
        _check(len(self._body), self._limit_bytes)

    def finish(self) -> bytes:
        return bytes(self._body)


class Gzip:
    """A gzip body of one or more members; never holds more than the limit plus one byte."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._body = bytearray()
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._started = False

    def feed(self, chunk: bytes) -> None:
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            self._started = True
            try:
                self._body += self._member.decompress(
                    chunk, self._limit_bytes + 1 - len(self._body)
                )
            except zlib.error:
                raise malformed("the body is not valid gzip") from None
            _check(len(self._body), self._limit_bytes)
            chunk = self._member.unused_data or self._member.unconsumed_tail

    def finish(self) -> bytes:
        if not self._started or not self._member.eof:
            raise malformed("the gzip body ends too early")
        return bytes(self._body)


def _check(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        raise too_large(f"the body is larger than {limit_bytes} bytes uncompressed")
