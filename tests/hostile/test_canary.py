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
LEAKS = {
    "a_file": "(tmp_path / 'debug.log').write_text(f'Bearer {canary.CANARY}')",
    "standard_output": "print(canary.CANARY)",
    "a_log_line": "__import__('logging').warning('sent %s', canary.CANARY)",
    "a_command_line": "__import__('subprocess').run(['true', canary.CANARY])",
    "a_childs_output": "__import__('subprocess').run(['cat'], input=canary.CANARY.encode(), "
    "capture_output=True)",
}
RAISED = ("a_command_line", "a_childs_output")
"""Those that fail the test itself, at the line that lets the token out."""
FINE = {
    "credentials": "(tmp_path / 'credentials').write_text(canary.CANARY)",
    "nothing": "pass",
}


def run_watched(
    folder: Path, bodies: dict[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    """Run a test for each of *bodies* under the watch."""
    tests = [f"def test_{name}(tmp_path):\n    {body}\n" for name, body in bodies.items()]
    (folder / "test_planted.py").write_text("import canary\n" + "\n".join(tests))
    paths = os.pathsep.join([SHARED, *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "canary_watch",
         "--tb=no", "--show-capture=no", "--basetemp", str(folder / "planted"), *options],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": paths},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "workers"])
def test_planted_leaks_turn_the_run_red(tmp_path: Path, workers: tuple[str, ...]):
    """A token in a file, in output or on a command line fails the run, wherever a test ran."""
    try:
        done = run_watched(tmp_path, LEAKS, *workers)
        assert (done.returncode, "2 failed, 3 passed" in done.stdout) == (1, True), done.stdout
        red = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "LEAK"))]
        for name in LEAKS:
            seen = "debug.log" if name == "a_file" else f"test_{name}"
            assert any(seen in line for line in red), (name, done.stdout)
        assert sum("LEAK" in line for line in red) >= len(LEAKS) - len(RAISED)
    finally:
        forget(tmp_path)


def test_token_where_it_belongs_is_no_leak(tmp_path: Path):
    """The login's own file may hold it; a run without a leak says nothing."""
    done = run_watched(tmp_path, FINE)
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
