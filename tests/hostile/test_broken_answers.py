"""An answer that never comes whole: the batch was stored, the word about it is lost.

The drain cannot know that; it asks again under the same ids and takes `duplicate` for an answer.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from delivery_bench import Bench
from rude_receiver import Ids, Rudeness, RudeReceiver, answer, results, say_always
from rude_server import reset

from spec_kitty_sync._http import HttpClient

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def hurry(request: pytest.FixtureRequest, bench: Bench) -> Iterator[None]:
    """Give a request one second, only where nothing but its deadline ends it."""
    if request.node.callspec.params.get("name") in SLOW:
        with HttpClient(deadline_s=1.0) as bench.client:
            yield
    else:
        yield


def for_ever(head: bytes, drop: bytes, *, pause_s: float = 0.01) -> Rudeness:
    """Send *head*, then *drop* again and again until the other side goes away."""

    def handle(connection: socket.socket, ids: Ids) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(drop)
            time.sleep(pause_s)

    return handle


def silence(connection: socket.socket, ids: Ids) -> None:
    """Say nothing until the other side goes away."""
    connection.recv(1)


def success_in(status: str) -> Rudeness:
    """Say that all was stored, under a status that denies it."""

    def handle(connection: socket.socket, ids: Ids) -> None:
        connection.sendall(answer(status, results(dict.fromkeys(ids, "success"))))

    return handle


def huge(connection: socket.socket, ids: Ids) -> None:
    """Say that all was stored, with a megabyte of blanks behind it."""
    connection.sendall(answer(200, results(dict.fromkeys(ids, "success")) + b" " * 1_000_000))


BROKEN: dict[str, Rudeness] = {
    "close": say_always(b""),
    "reset": lambda connection, ids: reset(connection),
    "half a status line": say_always(b"HTTP/1."),
    "garbage status": say_always(b"HTTP/1.1 two hundred\r\n\r\n"),
    "other protocol": say_always(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "HTTP/0.9": say_always(b"<html>stored</html>"),
    "length too long": say_always(OK + b"Content-Length: 100\r\n\r\n{}"),
    "length is a word": say_always(OK + b"Content-Length: two\r\n\r\n{}"),
    "length negative": say_always(OK + b"Content-Length: -2\r\n\r\n{}"),
    "two lengths": say_always(OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}"),
    "chunk size is a word": say_always(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "last chunk missing": say_always(CHUNKED + b"2\r\n{}\r\n"),
    "line break in a header": say_always(OK + b"X-A: b\r\n c\x00\r\n\r\n{}"),
    "2 MB header": say_always(OK + b"X-Big: " + b"x" * 2_000_000 + b"\r\n\r\n{}"),
    "100,000 headers": say_always(OK + b"X-A: b\r\n" * 100_000 + b"\r\n{}"),
    "header for ever": for_ever(OK, b"X-A: b\r\n"),
    "continue for ever": for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body for ever": for_ever(OK + b"\r\n", b"x" * 65_536, pause_s=0),
    "body dripping": for_ever(OK + b"Content-Length: 9999\r\n\r\n", b" "),
    "chunks dripping": for_ever(CHUNKED, b"1\r\n \r\n"),
    "blank chunks for ever": for_ever(CHUNKED, b"1\r\n \r\n" * 4096, pause_s=0),
    "silence": silence,
    "huge": huge,
    "success in a 500": success_in("500 Internal Server Error"),
    "success in a 502": success_in("502 Bad Gateway"),
    "success in a 408": success_in("408 Request Timeout"),
    "success in a 999": success_in("999 What"),
}
SLOW = (
    "silence", "header for ever", "body dripping", "continue for ever", "chunks dripping",
    "blank chunks for ever",
)  # fmt: skip
"""Those that only the deadline ends."""


def unhurried(names: Iterable[str], *, but: Sequence[str] = ()) -> list[object]:
    """Return *names* as parameters; the slow ones, except *but*, are for `make proof`."""
    return [
        pytest.param(name, marks=pytest.mark.proof) if name in SLOW and name not in but else name
        for name in names
    ]


@pytest.mark.parametrize("name", unhurried(BROKEN, but=SLOW[:3]))
def test_stored_batch_with_a_broken_answer_is_settled_by_duplicates(bench: Bench, name: str):
    """The batch is sent again under the same ids in the same run; nothing is stored twice."""
    ids = bench.append(4)
    with RudeReceiver() as rude:
        rude.script.append(rude.store_and(BROKEN[name]))
        report = bench.drain(rude.url)
    assert (report.duplicates, report.delivered, report.stop) == (4, 0, None)
    assert rude.batches == [ids, ids]
    assert rude.stored == ids


@pytest.mark.parametrize("name", unhurried(BROKEN))
def test_server_that_only_breaks_is_left_with_nothing_lost(bench: Bench, name: str):
    """Three singles in a row and the run ends: nothing delivered, nothing blamed, all kept."""
    ids = bench.append(4)
    with RudeReceiver() as rude:
        rude.usual = BROKEN[name]
        report = bench.drain(rude.url)
        assert report.stop is not None
        assert report.stop.code == "server_down"
        assert (report.transient, report.not_sent) == (3, 1)
        rude.usual = rude.behave
        bench.clock.advance(3600)
        assert bench.drain(rude.url).delivered == 4
    assert sorted(rude.stored) == ids


def poisoned(rude: RudeReceiver, poison: str, rudeness: Rudeness) -> Rudeness:
    """Be rude to every batch that holds *poison*."""

    def handle(connection: socket.socket, ids: Ids) -> None:
        (rudeness if poison in ids else rude.behave)(connection, ids)

    return handle


@pytest.mark.parametrize("name", unhurried(["close", "silence", "success in a 500", "huge"]))
@pytest.mark.parametrize("place", [0, 3, 7])
def test_event_that_breaks_the_server_holds_nobody_back(bench: Bench, name: str, place: int):
    """The one event that makes the server fail is alone transient; the others arrive at once."""
    ids = bench.append(8)
    with RudeReceiver() as rude:
        rude.usual = poisoned(rude, ids[place], BROKEN[name])
        report = bench.drain(rude.url)
        assert bench.states(rude.url)[ids[place]] == "transient"
    assert (report.delivered, report.transient, report.stop) == (7, 1, None)
    assert rude.stored == [each for each in ids if each != ids[place]]


Refusal = Callable[[Ids], bytes]


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        (lambda ids: answer("413 Too Large"), "terminal_failed"),
        (lambda ids: answer("400 Bad", b'{"error": "\\u001b[2Jbad"}'), "rejected"),
        (lambda ids: answer("422 Odd", b"\xff\xfe not json"), "rejected"),
        (lambda ids: answer("400 Bad", json.dumps(
            {"error": "x", "details": [{"event_id": i} for i in ids] * 2}).encode()), "rejected"),
        (lambda ids: answer("400 Bad", json.dumps(
            {"error": "x", "details": [{"event_id": 7}, None]}).encode()), "rejected"),
        (lambda ids: answer("400 Bad", json.dumps(
            {"error": "x", "details": json.dumps("[" * 2000)}).encode()), "rejected"),
    ],
    ids=["413", "escapes", "not utf-8", "names all", "names none", "deep text"],
)  # fmt: skip
def test_event_that_a_whole_batch_is_refused_for_is_alone_refused(
    bench: Bench, refusal: Refusal, state: str
):
    """Whatever a refusal looks like, the culprit is found and everybody else is delivered."""
    ids = bench.append(8)
    with RudeReceiver() as rude:

        def rude_to_poison(connection: socket.socket, sent: Ids) -> None:
            connection.sendall(refusal(sent))

        rude.usual = poisoned(rude, ids[5], rude_to_poison)
        report = bench.drain(rude.url)
        assert bench.states(rude.url)[ids[5]] == state
    assert (report.delivered, report.stop) == (7, None)
