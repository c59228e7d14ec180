"""How the kit behaves towards receivers and callers: pace, patience, workers, its own mutants."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kit_runs import RunKit, clean_environment
from plain_receiver import TOKEN, PlainReceiver, serving

from spec_kitty_sync.conformance.client import Address, Client, NoConnection
from spec_kitty_sync.conformance.exchange import Request
from spec_kitty_sync.conformance.isolated import watch


def test_rate_holds_requests_back(run_command: RunKit) -> None:
    """`--rate` keeps the suite below so many requests per second."""
    with serving(PlainReceiver()) as url:
        started = time.monotonic()
        done = run_command("receiver", url, "--only", "SKR-AUT-03", "--rate", "20")
        seconds = time.monotonic() - started
    assert done.returncode == 4  # chosen checks alone are never conformant
    assert seconds > 18 / 20


def test_answer_that_drips_ends_at_the_deadline() -> None:
    """A server that sends a byte now and then cannot hold the suite for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        client, _ = listener.accept()
        with suppress(OSError), client:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.05):
                client.sendall(b" ")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    client = Client(Address.parse(f"http://127.0.0.1:{listener.getsockname()[1]}"), 0.3)
    done = client.send(Request("GET", "/"))
    stop.set()
    thread.join(5)
    listener.close()
    assert done.response is None
    assert done.broke == "no complete answer within 0.6 s"


@pytest.mark.parametrize("closes", [True, False])
def test_early_answer_to_a_long_request_is_read(closes: bool) -> None:
    """A server that refuses before it has read everything is still heard, if it closes or not."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = threading.Event()

    def refuse() -> None:
        client, _ = listener.accept()
        client.recv(1000)
        client.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
        if not closes:
            heard.wait(60)
        client.close()

    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    client = Client(Address.parse(f"http://127.0.0.1:{listener.getsockname()[1]}"), 2)
    done = client.send(Request("POST", "/", body=b"x" * 20_000_000), fresh=True)
    heard.set()
    thread.join(5)
    listener.close()
    assert done.response is not None, done.broke
    assert done.response.status == 413


def test_no_connection_is_no_finding() -> None:
    """A refused connection is an error of the network, told apart from an answer."""
    with pytest.raises(NoConnection, match="nothing accepts connections"):
        Client(Address.parse("http://127.0.0.1:1"), 1).send(Request("GET", "/"))


def test_watch_runs_again_after_a_change(tmp_path: Path) -> None:
    """While coding, a saved file is enough to be judged again."""
    source = tmp_path / "receiver.py"
    source.write_text("1")
    times: list[float] = []

    def run() -> int:
        times.append(time.monotonic())
        if len(times) == 1:
            threading.Timer(0.5, source.write_text, ["2 changed"]).start()
        return len(times)

    assert watch(tmp_path, run, rounds=2) == 2
    assert times[1] - times[0] >= 0.5


class _Hanging(PlainReceiver):
    """Answers three posts, and no other before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.posts, self.reached, self.let_go = 0, threading.Event(), threading.Event()

    def answer(self, token: str | None, encoding: str | None, body: bytes) -> tuple[int, Any]:
        self.posts += 1
        if self.posts > 3:
            self.reached.set()
            self.let_go.wait(60)
        return super().answer(token, encoding, body)


@pytest.mark.parametrize("to_group", [True, False], ids=["terminal", "process"])
def test_interrupted_run_keeps_its_number_and_says_so(tmp_path: Path, to_group: bool) -> None:
    """Ctrl-C ends with 2 and the reports of what was found; the cause of the rest is told."""
    receiver = _Hanging()
    with serving(receiver) as url:
        child = subprocess.Popen(
            [sys.executable, "-m", "spec_kitty_sync", "conformance", "receiver", url],
            cwd=tmp_path,
            env=clean_environment(SK_TOKEN=TOKEN),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A test run in the background ignores Ctrl-C, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert receiver.reached.wait(60)
        if to_group:
            os.killpg(child.pid, signal.SIGINT)
        else:
            child.send_signal(signal.SIGINT)
        text, _ = child.communicate(timeout=60)
        receiver.let_go.set()
    assert child.returncode == 2, text
    assert "left no result: the run was interrupted (Ctrl-C)" in text
    assert "hooks kept them" not in text
    assert json.loads((tmp_path / ".sk" / "report.json").read_text())["exit_code"] == 2


def test_watch_ends_with_an_interrupted_run(tmp_path: Path) -> None:
    """Ctrl-C during a run ends the watching too."""
    assert watch(tmp_path, lambda: 2) == 2


def test_unknown_check_is_named(run_command: RunKit) -> None:
    """A check that does not exist is a usage error, and nothing is asked."""
    done = run_command("receiver", "http://127.0.0.1:1", "--only", "SKR-XXX-01")
    assert done.returncode == 4
    assert "there is no check SKR-XXX-01" in done.stderr


def test_mutants_command_prints_killers_and_score(run_command: RunKit) -> None:
    """`conformance mutants` names the killer of each fault, and the score."""
    done = run_command("mutants", "--only", "says-ok,takes-bom", "--profile", "first-light")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing held against it" in done.stdout
    assert "says-ok                            SKR-BAT-04" in done.stdout
    assert "score: 1 of 1 mutants killed (100.0 %), 1 cannot be seen from outside" in done.stdout
