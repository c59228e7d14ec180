"""A receiver that one event kills: a payload of null ends it, at once or once it has answered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kit_runs import clean_environment
from plain_receiver import PlainReceiver, serving

_FIELDS = ("event_type", "aggregate_id", "aggregate_type", "payload", "timestamp", "node_id",
           "lamport_clock", "project_uuid")  # fmt: skip
_HERE = Path(__file__).resolve().parent


class MortalReceiver(PlainReceiver):
    """Dies of an event without anything in its payload; *late*: once it has answered."""

    def __init__(self, *, late: bool) -> None:
        super().__init__()
        self.late = late

    def take(self, event: dict[str, Any]) -> dict[str, Any]:
        """Store one event, or die of it."""
        if event.get("payload", {}) is None:
            self.last_answer = self.late or os._exit(1)
        missing = [name for name in _FIELDS if event.get(name) is None]
        if missing:
            error = f"{missing[0]} is missing"
            return {"event_id": event.get("event_id"), "status": "rejected", "error": error}
        return super().take(event)


@contextmanager
def mortal_receiver(*, comes_back: bool = False, late: bool = False) -> Iterator[str]:
    """Yield the URL of a mortal receiver in a process of its own.

    With *comes_back* a supervisor starts it again on the same port, as often as it dies.
    """
    first = _start("0", late)
    running = [first]
    assert first.stdout is not None
    url = first.stdout.readline().strip()
    over = threading.Event()

    def supervise() -> None:
        while comes_back and not over.is_set():
            running[-1].wait()
            if not over.is_set():
                running.append(_start(url.rpartition(":")[2], late))

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    try:
        yield url
    finally:
        over.set()
        while supervisor.is_alive():
            running[-1].kill()
            supervisor.join(0.1)
        for process in running:
            process.kill()
            process.communicate()


def _start(port: str, late: bool) -> subprocess.Popen[str]:
    here = os.pathsep.join([*sys.path, str(_HERE)])
    return subprocess.Popen(
        [sys.executable, __file__, port, *["late"] * late],
        env=clean_environment(PYTHONPATH=here),
        stdout=subprocess.PIPE,
        text=True,
    )


if __name__ == "__main__":
    with serving(MortalReceiver(late="late" in sys.argv), port=int(sys.argv[1])) as address:
        print(address, flush=True)
        threading.Event().wait()
