"""The watch over the whole test run sees a secret that gets out; without one it is silent."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from canary import CANARY, holds_canary, leaks_below
from desk import Desk, make_event
from small_receiver import SmallReceiver

SHARED = str(Path(__file__).parents[1] / "shared")
QUIET = "import canary, pathlib\ndef test_it(tmp_path):\n    "
LEAKS = {
    "a file": "(tmp_path / 'debug.log').write_text(f'Bearer {canary.CANARY}')",
    "standard output": "print(canary.CANARY)",
    "a log line": "__import__('logging').warning('sent %s', canary.CANARY)",
    "a command line": "__import__('subprocess').run(['true', canary.CANARY])",
    "a child's output": "__import__('subprocess').run(['cat'], input=canary.CANARY.encode(), "
    "capture_output=True)",
}
RAISED = ("a command line", "a child's output")
"""Those that fail the test itself, at the line that lets the token out."""
FINE = {
    "credentials": "(tmp_path / 'credentials').write_text(canary.CANARY)",
    "nothing": "pass",
}


def run_watched(folder: Path, body: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one test with this *body* under the watch."""
    (folder / "test_planted.py").write_text(QUIET + body + "\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "canary_watch",
         "--tb=no", "--show-capture=no",
         "--basetemp", str(folder / "planted"), *options, "test_planted.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([SHARED, *filter(None, sys.path)])},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("place", LEAKS)
def test_planted_leak_turns_the_run_red(tmp_path: Path, place: str):
    """A token in a file, in output or on a command line fails a run whose tests all pass."""
    try:
        done = run_watched(tmp_path, LEAKS[place])
        assert done.returncode == 1, done.stdout
        assert ("LEAK" in done.stdout) == (place not in RAISED), done.stdout
    finally:
        forget(tmp_path)


def test_planted_leak_of_a_worker_turns_the_run_red(tmp_path: Path):
    """What a worker of xdist wrote is found too."""
    try:
        done = run_watched(tmp_path, LEAKS["a file"], "-n", "2")
        assert (done.returncode, "1 passed" in done.stdout) == (1, True), done.stdout
        assert "debug.log" in done.stdout
    finally:
        forget(tmp_path)


@pytest.mark.parametrize("place", FINE)
def test_token_where_it_belongs_is_no_leak(tmp_path: Path, place: str):
    """The login's own file may hold it; a run without a leak says nothing."""
    done = run_watched(tmp_path, FINE[place])
    assert (done.returncode, "LEAK" in done.stdout) == (0, False), done.stdout


def forget(folder: Path) -> None:
    """Remove what was planted, lest the watch over this very run find it."""
    for path in leaks_below(folder):
        path.unlink()


@pytest.mark.parametrize("packing", [str.encode, lambda text: gzip.compress(text.encode())])
def test_search_sees_a_token_in_a_packed_or_binary_file(tmp_path: Path, packing):
    """Compressed files are opened; base64, as in Basic authorisation, is read."""
    path = tmp_path / "page.db"
    path.write_bytes(packing(f"\0\0{CANARY}\0"))
    assert list(leaks_below(tmp_path)) == [path]
    path.unlink()
    assert holds_canary(b"Basic YWRhOmNhbmFyeS02ZjFkMGE5M2My")  # ada:canary-…


def test_running_command_shows_no_token_to_other_users(desk: Desk, tmp_path: Path):
    """While a drain waits for its answer, no command line on this machine holds the token."""
    desk.put(make_event(1))
    with SmallReceiver() as receiver:
        desk.run("sync", "server", receiver.url)
        receiver.token = f"{CANARY}-env"
        receiver.go_on.clear()
        environ = {**os.environ, "SPEC_KITTY_HOME": str(desk.home.root)}
        process = subprocess.Popen(
            [sys.executable, "-m", "spec_kitty_sync", "--debug", "sync", "now"],
            env={**environ, "SPEC_KITTY_TOKEN": receiver.token},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert receiver.arrived.wait(30)
        shown = Path(f"/proc/{process.pid}/cmdline")
        if shown.exists():
            assert b"sync" in shown.read_bytes()
            assert not holds_canary(shown.read_bytes())
        process.send_signal(signal.SIGINT)
        receiver.go_on.set()
        process.communicate(timeout=30)
        assert process.returncode == 130
