"""Events in plain files: every event once, its bytes untouched, memory flat."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_kitty_sync.errors import SourceError
from spec_kitty_sync.sync import legacy_files
from spec_kitty_sync.sync.legacy_files import iterate_file, iterate_stream
from spec_kitty_sync.sync.legacy_split import Splitter

EVENT = b'{"event_id": "a", "x": "br{ack]et \\" and \\\\"}'


def bodies(data: bytes) -> list[bytes | None]:
    return [row.body for row in iterate_stream(io.BytesIO(data))]


@pytest.mark.parametrize(
    "data",
    [
        EVENT + b"\n" + EVENT + b"\n",
        EVENT + b"\r\n\r\n" + EVENT,
        b"[" + EVENT + b"," + EVENT + b"]",
        b" [\n " + EVENT + b",\n" + EVENT + b"\n]\n",
        b'{"events": [' + EVENT + b"," + EVENT + b"]}",
        gzip.compress(EVENT + b"\n" + EVENT),
        gzip.compress(b"[" + EVENT + b"," + EVENT + b"]"),
    ],
    ids=["lines", "crlf", "array", "spaced array", "batch", "gzip lines", "gzip array"],
)
def test_stream_yields_each_event_byte_for_byte(data: bytes) -> None:
    """Lines, arrays, batches and their gzip forms give the same two events."""
    assert bodies(data) == [EVENT, EVENT]


def test_stream_yields_a_document_that_spans_lines() -> None:
    """One event printed over several lines is one event."""
    text = json.dumps({"event_id": "a", "payload": {"k": [1, 2]}}, indent=2).encode()
    assert bodies(text) == [text]
    assert bodies(text + b"\n" + text) == [text, text]


def test_stream_of_nothing_has_no_rows() -> None:
    """An empty input has no events."""
    assert bodies(b"") == []
    assert bodies(b"\n \n") == []
    assert bodies(b"[]") == []


def test_stream_hands_on_broken_lines_with_their_number() -> None:
    """A line that is no JSON is a row like any other: its judge sees the bytes."""
    rows = list(iterate_stream(io.BytesIO(EVENT + b"\n\nnot json\n" + EVENT)))
    assert [(row.row, row.body) for row in rows] == [(1, EVENT), (3, b"not json"), (4, EVENT)]


def test_stream_hands_on_an_array_that_was_cut_off() -> None:
    """What stands before the cut is read; the rest is broken rows, never silence."""
    assert bodies(b"[" + EVENT + b"," + EVENT[:9]) == [EVENT, EVENT[:9], None]
    assert bodies(b"[" + EVENT) == [EVENT, None]
    assert bodies(b"[") == [None]


def test_stream_hands_on_whatever_stands_in_an_array() -> None:
    """Numbers, texts and gaps between commas are rows too: their judge refuses them."""
    assert bodies(b'[1, "a,]", null, ' + EVENT + b",,[2]]") == [
        b"1", b'"a,]"', b"null", EVENT, b"", b"[2]",
    ]  # fmt: skip
    assert bodies(b"[1,]") == [b"1", b""]


def test_array_element_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An element beyond the limit is a problem row; the elements after it are read."""
    monkeypatch.setattr(legacy_files, "LIMIT_BYTES", 300_000)
    huge = json.dumps({"event_id": "b", "pad": 'x"\\' * 400_000}).encode()
    data = b"[" + EVENT + b"," + huge + b"," + EVENT + b"]"
    assert bodies(data) == [EVENT, None, EVENT]
    for cut in (2, 200_000):
        assert bodies(b"[" + EVENT + b"," + huge[:-cut]) == [EVENT, None, None]


def test_stream_with_broken_gzip_yields_what_came_before(tmp_path: Path) -> None:
    """Truncated gzip is an error with a remedy after the rows that could be read."""
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(EVENT + b"\n" for _ in range(5)))[:-9])
    with pytest.raises(SourceError, match="gzip") as caught:
        list(iterate_file(path))
    assert caught.value.remedy


def test_stream_cuts_events_that_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit is a problem row; the lines after it are read."""
    monkeypatch.setattr(legacy_files, "LIMIT_BYTES", 1000)
    stream = io.BytesIO(b"x" * 1_000_000 + b"\n" + EVENT + b"\n" + b"y" * 2000 + b"\n" + EVENT)
    rows = list(iterate_stream(stream))
    assert [(row.row, row.body) for row in rows] == [
        (1, None),
        (2, EVENT),
        (3, None),
        (4, EVENT),
    ]
    assert rows[0].problem


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.dictionaries(st.text(max_size=8), st.text(alphabet='{}[]"\\ab,', max_size=12)),
        max_size=6,
    ),
    chunk=st.integers(1, 9),
)
def test_array_splitter_agrees_with_json_at_any_chunk_size(
    values: list[dict[str, str]], chunk: int
) -> None:
    """Wherever the chunks of the input end, the same elements come out."""
    splitter = Splitter(in_array=True)
    data = json.dumps(values).encode()
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    found = [json.loads(value) for piece in pieces for value in splitter.feed(piece)]
    assert found == values
    assert splitter.rest() is None
    assert not splitter.cut_off


@pytest.mark.parametrize("form", ["lines", "array"])
def test_stream_memory_does_not_grow_with_the_input(form: str, tmp_path: Path) -> None:
    """Ten times the events need no more memory."""
    path = tmp_path / "events.json"
    with path.open("wb") as stream:
        stream.write(b"[" if form == "array" else b"")
        for number in range(60_000):
            end = (b"\n]" if number == 59_999 else b",\n") if form == "array" else b"\n"
            stream.write(b'{"event_id": "%026d", "pad": "%0200d"}' % (number, number) + end)
    tracemalloc.start()
    count = sum(1 for _ in iterate_file(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 4 * 1024 * 1024
