"""`sync now` at a terminal, towards a server that listens and never says a word."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from desk import Desk, make_event


def read_until(terminal: int, wanted: str | None) -> str:
    """Return what is printed up to *wanted*; to the end where it is None."""
    printed = b""
    while wanted is None or wanted.encode() not in printed:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            data = b""
        if not data:
            assert wanted is None, printed.decode()
            break
        printed += data
    return printed.decode()


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_operator_learns_what_is_waited_for_and_may_stop(desk: Desk):
    """What goes where is said before any answer, then that one is waited for; Ctrl-C ends it
    without a word of "nothing to send", and names the same target for the next run.
    """
    import pty

    desk.put(*(make_event(number) for number in range(1, 6)))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environ = {**os.environ, "SPEC_KITTY_HOME": str(desk.home.root), "TERM": "xterm"}
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "spec_kitty_sync", "sync", "now", "--target", url],
            env=environ, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        try:
            said = read_until(ours, "waiting for an answer of ")
            assert f"delivering 5 events to {url}" in said
            process.send_signal(signal.SIGINT)
            rest = " ".join(read_until(ours, None).split())
            assert process.wait(120) == 130
        finally:
            process.kill()
            process.wait()
            os.close(ours)
    assert "Nothing to send" not in rest
    assert f"Run `spec-kitty sync now --target {url}` to go on." in rest
    assert "5 events still to deliver." in rest


def test_output_in_a_pipe_has_no_word_of_waiting(desk: Desk):
    """Without a terminal there is one line for each fact, and stderr stays empty."""
    desk.put(make_event(1))
    done = desk.run("sync", "now", "--target", "http://127.0.0.1:9")
    assert done.code == 1
    assert done.err == ""
