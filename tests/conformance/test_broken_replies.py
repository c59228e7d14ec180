"""Answers that cannot be understood are told apart from answers that are wrong."""

from __future__ import annotations

import socket
import threading

import pytest

from spec_kitty_sync.conformance.client import Address, Client
from spec_kitty_sync.conformance.exchange import Exchange, Request, Response
from spec_kitty_sync.conformance.outcome import Finding
from spec_kitty_sync.conformance.probe import TAKEN
from spec_kitty_sync.conformance.reply import CheckFailed, Reply

OWN = "what only this check is about"
WHOLE = '{"results":[{"event_id":"01","status":"rejected","error":"größer"}]}'.encode()


def finding(status: int, body: bytes, length: int | None = None) -> Finding:
    """Return what is found when event 01 should have been taken."""
    headers = (("Content-Length", str(len(body) if length is None else length)),)
    answer = Response(status, headers, body) if status else None
    exchange = Exchange(Request("POST", "/"), answer, "" if answer else "reset", 0, 1.0)
    with pytest.raises(CheckFailed) as failed:
        Reply(exchange, 1).expect_outcome({"event_id": "01"}, TAKEN, OWN)
    return failed.value.finding


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        (0, b"", "hangs up without an answer"),
        (200, WHOLE[:-2], "the sender cannot read the answer"),
        (200, b'{"results":7}', "the sender cannot read the answer"),
        (200, b'{"results":[7]}', "the sender cannot read the answer"),
        (200, b'{"results":[]}', "the sender cannot tell what became of the event"),
    ],
    ids=["no answer", "cut", "no list", "no object", "no result"],
)
def test_broken_answer_means_that_it_is_broken(status: int, body: bytes, means: str) -> None:
    """A check does not blame its own subject for an answer that says nothing about it."""
    found = finding(status, body)
    assert means in found.means
    assert OWN not in found.means


@pytest.mark.parametrize(("status", "body"), [(200, WHOLE), (500, b'{"error":"x"}')])
def test_wrong_answer_means_what_the_check_says(status: int, body: bytes) -> None:
    """An answer that can be read and is wrong is the subject of the check."""
    assert finding(status, body).means == OWN


def test_cut_answer_is_told_with_its_lengths() -> None:
    """A length counted in characters cuts the JSON: both numbers stand in the finding."""
    body = WHOLE[:-2]
    assert finding(200, body, length=len(WHOLE) - 2).got == (
        f"the body is not JSON: it ends at byte {len(body)}, Content-Length says {len(WHOLE) - 2}"
    )
    assert "it begins '<h1>Welcome" in finding(200, b"<h1>Welcome</h1>").got


@pytest.mark.parametrize(
    ("head", "promised"),
    [
        ("", "neither Content-Length nor chunks, and the connection stays open"),
        ("Content-Length: 9\r\n", "fewer bytes than its Content-Length of 9"),
        ("Transfer-Encoding: chunked\r\n", "it is chunked, and the last chunk is missing"),
    ],
    ids=["no length", "too long", "chunks"],
)
def test_answer_without_end_is_no_silence(head: str, promised: str) -> None:
    """Who forgets to say how long an answer is hears of that, not of a server that is slow."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n2\r\n{{}}".encode())
            over.wait()

    server = threading.Thread(target=serve)
    server.start()
    client = Client(Address.parse(f"http://127.0.0.1:{listener.getsockname()[1]}"), 2)
    try:
        exchange = client.send(Request("GET", "/"))
    finally:
        over.set()
        client.close()
        server.join()
        listener.close()
    assert exchange.broke == f"HTTP 200, but no end of its body ({promised}) within 2 s"
    with pytest.raises(CheckFailed, match="no end of its body") as failed:
        Reply(exchange, 1).expect_answer()
    assert "the answer never ends" in failed.value.finding.means


@pytest.mark.parametrize("chunked", [False, True])
def test_answer_that_comes_before_the_body_is_read_is_heard(chunked: bool) -> None:
    """A receiver may refuse after the head and hang up; its answer counts, not the broken pipe."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        client.sendall(b"HTTP/1.1 411 Length Required\r\nContent-Length: 2\r\n\r\n{}")
        client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    host, port = listener.getsockname()
    request = Request("POST", "/", body=b"x" * 30_000_000)
    exchange = Client(Address("http", host, port)).send(request, fresh=True, chunked=chunked)
    thread.join(5)
    listener.close()
    assert exchange.response is not None, exchange.broke
    assert exchange.response.status == 411
