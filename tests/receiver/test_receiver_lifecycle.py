"""Start, stop, what survives, and what health says about it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from receiver_server import PROJECT, Server, event, ulid


def test_lifecycle_stdout_has_one_line_and_sigterm_ends_it(
    serve_receiver: Callable[..., Server],
) -> None:
    """The address is all of standard output; SIGTERM and Ctrl-C end the process with 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        server = serve_receiver("--no-auth")
        assert server.statuses([event()]) == ["success"]
        server.process.send_signal(number)
        assert server.process.wait(20) == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read() == ""


def test_lifecycle_port_in_use_is_refused_with_a_remedy(open_receiver: Server) -> None:
    """A taken port ends with exit code 2 and one line that says what to do."""
    port = open_receiver.url.rpartition(":")[2]
    command = [sys.executable, "-m", "spec_kitty_sync", "receiver", "serve", "--no-auth"]
    done = subprocess.run(
        [*command, "--port", port], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 2
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_lifecycle_missing_extra_names_the_install_command(tmp_path: Path) -> None:
    """Without the extra the command says which packages to install."""
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('no', name='uvicorn')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "spec_kitty_sync", "receiver", "serve", "--no-auth"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'spec-kitty-sync[receiver]'" in done.stderr


def test_lifecycle_ids_and_identity_survive_a_restart(
    serve_receiver: Callable[..., Server], tmp_path: Path
) -> None:
    """A new process on the same database knows its events and has the same identity."""
    options = ("--no-auth", "--database", str(tmp_path / "r.db"))
    first = serve_receiver(*options)
    assert first.statuses([event()]) == ["success"]
    health = first.client.get("/api/v1/sync/health/").json()
    assert first.stop() == 0
    second = serve_receiver(*options)
    assert second.statuses([event()]) == ["duplicate"]
    assert second.client.get("/api/v1/sync/health/").json() == health


def test_lifecycle_hooks_restart_and_reset(serve_receiver: Callable[..., Server]) -> None:
    """The restart hook keeps ids and identity; the reset hook loses both."""
    server = serve_receiver("--no-auth", "--test-hooks")
    health = server.client.get("/api/v1/sync/health/").json()
    assert "restart-hook" in health["capabilities"]
    assert server.statuses([event()]) == ["success"]
    assert server.client.post("/api/v1/testing/restart/").status_code == 200
    assert server.statuses([event()]) == ["duplicate"]
    assert server.client.get("/api/v1/sync/health/").json() == health
    assert server.client.post("/api/v1/testing/reset/").status_code == 200
    assert server.statuses([event()]) == ["success"]
    after = server.client.get("/api/v1/sync/health/").json()
    assert after["server_instance_id"] != health["server_instance_id"]


def test_lifecycle_hooks_are_off_by_default(open_receiver: Server) -> None:
    """Nobody can wipe a receiver that was not started for tests."""
    assert open_receiver.client.post("/api/v1/testing/reset/").status_code == 404


def test_lifecycle_pending_settles_as_duplicate(serve_receiver: Callable[..., Server]) -> None:
    """In pending mode an event is answered pending until its time is over, then duplicate."""
    server = serve_receiver("--no-auth", "--pending", "1.5")
    assert server.statuses([event(), event()]) == ["pending", "pending"]
    deadline = time.monotonic() + 10
    while (status := server.statuses([event()])) == ["pending"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert status == ["duplicate"]


def test_lifecycle_racing_posts_have_one_winner(open_receiver: Server) -> None:
    """Of 16 simultaneous posts of one event exactly one is a success, 50 times over."""
    with ThreadPoolExecutor(16) as pool:
        for number in range(50):
            sent = [event(500_000 + number)]
            answers = list(pool.map(lambda each: open_receiver.statuses([each]), sent * 16))
            assert sorted(answers) == [["duplicate"]] * 15 + [["success"]]


def test_lifecycle_kill_loses_nothing_that_was_acknowledged(
    serve_receiver: Callable[..., Server], tmp_path: Path
) -> None:
    """Killed in the middle of 200 batches, the store has every acknowledged event."""
    options = ("--no-auth", "--database", str(tmp_path / "r.db"))
    server = serve_receiver(*options)
    acknowledged: list[str] = []
    process = server.process
    assert process is not None

    def send(batch: int) -> None:
        events = [event(batch * 10 + number) for number in range(10)]
        try:
            results = server.post(events).json()["results"]
        except httpx.HTTPError:
            return
        acknowledged.extend(each["event_id"] for each in results if each["status"] == "success")
        if len(acknowledged) >= 700:
            process.kill()

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(send, batch) for batch in range(200)]
        for future in futures:
            future.result()
    assert 700 <= len(acknowledged) < 2000
    again = serve_receiver(*options)
    numbers = {ulid(number): number for number in range(2000)}
    events = [event(numbers[event_id]) for event_id in acknowledged]
    for start in range(0, len(events), 1000):
        assert set(again.statuses(events[start : start + 1000])) == {"duplicate"}


def test_lifecycle_full_store_is_503_and_acknowledges_nothing(
    serve_receiver: Callable[..., Server], tmp_path: Path
) -> None:
    """When the disk takes no more, the answer is 503 and nothing was stored."""
    options = ("--no-auth", "--database", str(tmp_path / "r.db"))
    server = serve_receiver(*options, limit_file_bytes=400_000)
    answers = [
        server.post([event(batch * 50 + number) for number in range(50)]) for batch in range(20)
    ]
    stored = [answer for answer in answers if answer.status_code == 200]
    assert 0 < len(stored) < 20
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert refused.status_code == 503
    assert refused.json()["error"]
    assert refused.headers["retry-after"]
    assert server.stop() == 0
    again = serve_receiver(*options)
    total = sum(len(page["events"]) for page in [again.client.get(
        "/api/v1/events/?limit=1000").json()])  # fmt: skip
    assert total == 50 * len(stored)


def test_lifecycle_store_removed_under_it_is_503(
    serve_receiver: Callable[..., Server], tmp_path: Path
) -> None:
    """Nothing is acknowledged into a database file that is gone."""
    server = serve_receiver("--no-auth", "--database", str(tmp_path / "r.db"))
    assert server.statuses([event(1)]) == ["success"]
    (tmp_path / "r.db").unlink()
    assert server.post([event(2)]).status_code == 503
    assert server.client.get("/api/v1/events/").status_code == 503


def test_lifecycle_slow_clients_do_not_stop_others(serve_receiver: Callable[..., Server]) -> None:
    """Slow headers and slow bodies are answered 408 and closed; others are served meanwhile."""
    server = serve_receiver("--no-auth", "--header-time", "0.5", "--body-time", "0.5")
    host, port = server.url.removeprefix("http://").split(":")
    start = b"POST /api/v1/events/batch/ HTTP/1.1\r\nHost: x\r\n"
    for sent in (b"", start, start + b"Content-Length: 100\r\n\r\n{"):
        with socket.create_connection((host, int(port)), timeout=10) as slow:
            slow.sendall(sent)
            assert server.client.get("/api/v1/sync/health/").status_code == 200
            answer = b""
            while piece := slow.recv(4096):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 408")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /api/v1/events/batch/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
def test_lifecycle_broken_http_is_400_as_json(open_receiver: Server, request_bytes: bytes) -> None:
    """Requests that two servers could read differently, or none at all, are answered 400."""
    host, port = open_receiver.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request_bytes)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["details"]


def test_lifecycle_pages_follow_each_other(serve_receiver: Callable[..., Server]) -> None:
    """The read API gives every event once, in the order stored, page by page."""
    server = serve_receiver("--no-auth")
    other = "7c9e6679-7425-40de-944b-e07fc1f90ae8"
    events = [event(n, project_uuid=other if n % 3 == 0 else PROJECT) for n in range(1, 26)]
    assert set(server.statuses(events)) == {"success"}
    seen, after, more = [], 0, True
    while more:
        query = {"project_uuid": PROJECT, "after": after, "limit": 7}
        page = server.client.get("/api/v1/events/", params=query).json()
        seen += [entry["event"] for entry in page["events"]]
        after, more = page["next_after"], page["more"]
    assert seen == [each for each in events if each["project_uuid"] == PROJECT]
    for bad in (
        "after=-1",
        "limit=x",
        "limit=0",
        "limit=99999",
        "project_uuid=1",
        "after=" + "9" * 30,
    ):
        assert server.client.get(f"/api/v1/events/?{bad}").status_code == 400


def test_slow_body_takes_no_place_from_others(serve_receiver: Callable[..., Server]) -> None:
    """With one place for batches, a body that drips in holds up nobody; a fifth one is refused."""
    server = serve_receiver("--no-auth", "--max-concurrent", "1")
    port = int(server.url.rpartition(":")[2])
    head = (
        b"POST /api/v1/events/batch/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    for each in slow:
        each.sendall(head)
    assert server.statuses([event(1)]) == ["success"]
    slow += [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    for each in slow[3:]:
        each.sendall(head)
    deadline = time.monotonic() + 20
    while server.post([event(2)]).status_code != 503:
        assert time.monotonic() < deadline
    for each in slow:
        each.close()
