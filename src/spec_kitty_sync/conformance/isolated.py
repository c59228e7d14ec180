"""The suite in a pytest of its own, out of reach of the host project's configuration."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from spec_kitty_sync._extras import require
from spec_kitty_sync._files import shared_path
from spec_kitty_sync.errors import UsageError

_POLL_S = 0.3
_INTERRUPTED = 2
_STOPS = ("SIGINT", "SIGTERM", "SIGHUP")
_PLUGIN = "spec_kitty_sync.conformance.plugin"


def run_isolated(
    url: str | None,
    *,
    token: str | None = None,
    workers: str | None = None,
    options: Mapping[str, str | float | bool | None] | None = None,
) -> int:
    """Judge the receiver at *url* in a child process and return pytest's exit code.

    Without *url* only what sends nothing can be asked for (`list`, `plan`).

    Raises:
        MissingExtraError: the kit's own packages are not installed.
        UsageError: *workers* were asked for without pytest-xdist.
    """
    require("conformance")
    if workers and importlib.util.find_spec("xdist") is None:
        raise UsageError(
            "several processes need pytest-xdist, which is not installed",
            remedy="Run `pip install pytest-xdist`, or leave --workers out.",
        )
    command = [sys.executable, "-m", "pytest", "-c", str(shared_path("conformance", "pytest.ini"))]
    # The names of failed checks are shown relative to the root: there they need no path.
    command += ["--noconftest", "-p", _PLUGIN, "--rootdir", os.getcwd()]
    if url:
        command.append(f"--sk-conformance={url}")
    for name, value in (options or {}).items():
        if value is True:
            command.append(f"--sk-{name}")
        elif value:
            command.append(f"--sk-{name}={value}")
    if workers:
        command += ["-p", "xdist.plugin", "-n", workers]
    return _run(command, _environment(token))


def _run(command: list[str], environ: dict[str, str]) -> int:
    """Run *command* to its end and return its exit code.

    A signal to stop is passed on, once, and the child's own end awaited: it writes the reports
    of what it found so far. In a process group of its own it does not hear Ctrl-C twice.
    """
    child = subprocess.Popen(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        process_group=0 if os.name == "posix" else None,
    )

    def pass_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    numbers = [getattr(signal, name) for name in _STOPS if hasattr(signal, name)]
    # What was ignored from the start, as by nohup, the child ignores too.
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in heard}
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def watch(folder: Path, run: Callable[[], int], *, rounds: int | None = None) -> int:
    """Call *run*, and again after each change below *folder*; return the last exit code.

    Ends after *rounds* calls, or when the user interrupts it.
    """
    code, done = 2, 0
    with suppress(KeyboardInterrupt):
        while rounds is None or done < rounds:
            before = _times(folder)
            code = run()
            done += 1
            if code == _INTERRUPTED:
                break
            while done != rounds and _times(folder) == before:
                time.sleep(_POLL_S)
    return code


def _times(folder: Path) -> dict[str, int]:
    found = {}
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "node_modules"))]
        for name in names:
            with suppress(OSError):
                found[f"{path}/{name}"] = os.stat(f"{path}/{name}").st_mtime_ns
    return found


def _environment(token: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    kept["PYTHONPATH"] = os.pathsep.join([*_own_path(), *filter(None, [kept.get("PYTHONPATH")])])
    if token:
        kept["SK_TOKEN"] = token
    return kept


def _own_path() -> list[str]:
    # A run from a source folder that is on sys.path only by PYTHONPATH or `-m` still finds itself.
    spec = importlib.util.find_spec("spec_kitty_sync")
    locations = list(spec.submodule_search_locations or ()) if spec else []
    return [str(Path(place).parent) for place in locations]
