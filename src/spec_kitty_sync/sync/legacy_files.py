"""Events in plain files: JSON Lines, JSON documents, either of them gzipped, or a stream.

Everything streams: memory holds one event and one chunk, however long the input is. The
bytes of each event are handed on as they stand; nothing is parsed here.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from spec_kitty_sync.sync.legacy_open import SQLITE_MAGIC, unreadable
from spec_kitty_sync.sync.legacy_sources import LegacyRow, source_error
from spec_kitty_sync.sync.legacy_split import Splitter, balance

LIMIT_BYTES = 64 * 1024 * 1024
_CHUNK = 1 << 18
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".gz")
_GZIP_MAGIC = b"\x1f\x8b"
_BATCH_HEAD = re.compile(rb'\s*\{\s*"events"\s*:\s*(?=\[)')
_REMEDY = "Write the file again, or cut the broken part out; the events before it were read."


def looks_like_events(path: Path) -> bool:
    """Tell whether *path* is a JSON file by its name, and no SQLite database by its bytes."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(len(SQLITE_MAGIC)) != SQLITE_MAGIC
    except OSError:
        return False


def iterate_file(path: Path) -> Iterator[LegacyRow]:
    """Yield one row for each event of the file at *path*; gzip is seen by its first bytes.

    Raises:
        SourceError: the file cannot be read, or its compression is broken.
    """
    try:
        with path.open("rb") as stream:
            yield from iterate_stream(cast(BinaryIO, stream), path)
    except OSError as exc:
        raise unreadable(path, exc) from exc


def iterate_stream(stream: BinaryIO, path: Path = Path("-")) -> Iterator[LegacyRow]:
    """Yield one row for each event in *stream*: a line, an array element or a document.

    `row` is the line number of JSON Lines, else the number of the event, both from 1.

    Raises:
        SourceError: broken gzip; the rows before it were yielded.
    """
    source = _Chunks(stream)
    if source.peek(2).startswith(_GZIP_MAGIC):
        source = _Chunks(cast(BinaryIO, gzip.GzipFile(fileobj=cast(BinaryIO, source), mode="rb")))
    try:
        if _is_document(source, path):
            yield from _elements(source)
        else:
            yield from _lines(source)
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise source_error(path, "broken_gzip", f"its gzip data is broken: {exc}", _REMEDY) from exc


class _Chunks:
    """A byte stream that can be looked at before it is read; it need not be seekable."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._held = b""

    def peek(self, size: int) -> bytes:
        """Return at least *size* bytes from here, fewer only at the end."""
        while len(self._held) < size:
            chunk = self._stream.read(max(size - len(self._held), _CHUNK))
            if not chunk:
                break
            self._held += chunk
        return self._held

    def read(self, size: int = _CHUNK) -> bytes:
        """Return the next bytes, at most *size* (what was peeked comes first)."""
        if self._held:
            taken, self._held = self._held[:size], self._held[size:]
            return taken
        return self._stream.read(size)


def _is_document(source: _Chunks, path: Path) -> bool:
    """Tell JSON documents from JSON Lines: an array, a batch, or an object over many lines."""
    if ".jsonl" in path.name or ".ndjson" in path.name:
        return False
    head = source.peek(_CHUNK).lstrip()
    if head.startswith(b"[") or _BATCH_HEAD.match(head):
        return True
    line = head.split(b"\n", 1)[0]
    return line.startswith(b"{") and balance(line) > 0 and len(line) < len(head)


def _lines(source: _Chunks) -> Iterator[LegacyRow]:
    number, pending = 0, b""
    while chunk := source.read():
        *complete, pending = (pending + chunk).split(b"\n")
        yield from _numbered(complete, number)
        number += len(complete)
        if len(pending) > LIMIT_BYTES:
            number += 1
            yield _too_long(number)
            pending = _skip_line(source)
    yield from _numbered(pending.split(b"\n"), number)


def _numbered(lines: list[bytes], before: int) -> Iterator[LegacyRow]:
    for number, line in enumerate(lines, start=before + 1):
        if line and not line.isspace():
            yield _row(number, line.rstrip(b"\r"))


def _skip_line(source: _Chunks) -> bytes:
    while chunk := source.read():
        _, newline, rest = chunk.partition(b"\n")
        if newline:
            return rest
    return b""


def _elements(source: _Chunks) -> Iterator[LegacyRow]:
    """Yield the elements of an array (or of a batch's `events`), or each top-level value."""
    batch = _BATCH_HEAD.match(source.peek(_CHUNK))
    if batch:
        source.read(batch.end())
    splitter = Splitter(in_array=source.peek(_CHUNK).lstrip().startswith(b"["))
    number = 0
    while chunk := source.read():
        for element in splitter.feed(chunk):
            number += 1
            yield _row(number, element)
        if splitter.size() > LIMIT_BYTES and splitter.skip():
            number += 1
            yield _too_long(number)
    if (rest := splitter.rest()) is not None:
        number += 1
        yield _row(number, rest)
    if splitter.cut_off:
        yield _without_bytes(number + 1, "the array is not closed: the input was cut off here")


def _row(number: int, body: bytes) -> LegacyRow:
    if len(body) > LIMIT_BYTES:
        return _too_long(number)
    return LegacyRow(number, None, None, body, None, None, None, None)


def _too_long(number: int) -> LegacyRow:
    return _without_bytes(number, f"the event is longer than {LIMIT_BYTES} bytes")


def _without_bytes(number: int, problem: str) -> LegacyRow:
    return LegacyRow(number, None, None, None, problem, None, None, None)
