"""Cutting JSON text into its values without parsing them: bytes in, the same bytes out."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A whole string, a bracket, a comma, or the quote of a string that has not ended yet.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],"]', re.DOTALL)
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_OPENING, _CLOSING = b"{[", b"}]"


def balance(data: bytes) -> int:
    """Return how many brackets *data* leaves open."""
    opened = 0
    for match in _TOKEN.finditer(data):
        opened += (match[0] in _OPENING) - (match[0] in _CLOSING)
    return opened


class Splitter:
    """Cuts a byte stream into the elements of one array, or into values one after another.

    Whatever stands between two separators is a value, so that nothing is lost: its judge sees it.
    Each byte is looked at once, wherever the chunks end.
    """

    def __init__(self, *, in_array: bool) -> None:
        self._in_array = in_array
        self._depth = 0
        self._buffer = b""
        self._begin = 0  # of the value that is being read
        self._scanned = 0  # up to here brackets, commas and strings were followed
        self._in_string = False
        self._promised = False  # a comma says that another element follows
        self._skipping = False
        self._closed = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield each value that *chunk* completes."""
        if self._closed:
            return
        self._buffer += chunk
        if self._in_string and not self._leave_string():
            return
        for match in _TOKEN.finditer(self._buffer, self._scanned):
            self._scanned = match.end()
            if match[0] == b'"':
                self._in_string = True
                self._leave_string()
                break
            value = self._follow(match[0], match.start())
            if value is not None:
                yield value
            if self._closed:
                self._buffer = b""
                return
        else:
            self._scanned = len(self._buffer)
        self._forget()

    def size(self) -> int:
        """Return how many bytes of the value that is being read are held."""
        return len(self._buffer)

    def skip(self) -> bool:
        """Drop the value that is being read, and go on after its end; True when that is new."""
        self._begin = self._scanned
        self._forget()
        new, self._skipping = not self._skipping, True
        return new

    def rest(self) -> bytes | None:
        """Return the bytes of a value that never ended, None if all did."""
        value = self._buffer[self._begin :].strip()
        return value if value and not self._closed and not self._skipping else None

    @property
    def cut_off(self) -> bool:
        """Whether the array was not closed, or lacks an element that a comma promised."""
        return self._in_array and not self._closed

    def _leave_string(self) -> bool:
        """Follow the string that is being read; tell whether it ends in the buffer."""
        match = _STRING_REST.match(self._buffer, self._scanned)
        assert match is not None
        self._scanned = match.end()
        if self._buffer[self._scanned : self._scanned + 1] != b'"':
            return False
        self._scanned += 1
        self._in_string = False
        return True

    def _follow(self, token: bytes, at: int) -> bytes | None:
        """Follow one bracket or comma; return the value that it ends."""
        if token in _OPENING:
            if self._in_array and self._depth == 0:
                self._begin = at + 1
            self._depth += 1
        elif token in _CLOSING:
            self._depth = max(self._depth - 1, 0)
            if self._depth == 0:
                return self._last(at) if self._in_array else self._cut(at + 1, at + 1)
        elif token == b"," and self._in_array and self._depth == 1:
            self._promised = True
            return self._cut(at, at + 1)
        return None

    def _last(self, at: int) -> bytes | None:
        """Return what stands before the array's end: an element, unless the array is empty."""
        self._closed = True
        value = self._cut(at, at + 1)
        return value if value or self._promised else None

    def _cut(self, end: int, begin: int) -> bytes | None:
        """Return the value that ends before *end*; the next one begins at *begin*."""
        value = self._buffer[self._begin : end].strip()
        self._begin = begin
        if self._skipping:
            self._skipping = False
            return None
        return value

    def _forget(self) -> None:
        """Drop the bytes that no value needs any more."""
        self._buffer = self._buffer[self._begin :]
        self._scanned -= self._begin
        self._begin = 0
