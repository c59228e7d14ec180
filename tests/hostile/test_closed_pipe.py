"""Output that nobody reads any more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from desk import Desk, event_id, make_event
from small_receiver import SmallReceiver

COMMANDS = (
    ("--help",),
    ("sync", "status"),
    ("sync", "status", "--json"),
    ("sync", "show", event_id(1)),
    ("sync", "log"),
    ("sync", "doctor"),
    ("sync", "migrate"),
    ("sync", "now"),
    ("sync", "now", "--json"),
    ("diagnose",),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_whose_output_nobody_reads_ends_quietly(desk: Desk, command: tuple[str, ...]):
    """The work is done, standard error stays empty, and no traceback appears anywhere."""
    desk.put(make_event(1))
    with SmallReceiver() as receiver:
        desk.run("sync", "server", receiver.url)
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "spec_kitty_sync", *command],
            env={**os.environ, "SPEC_KITTY_HOME": str(desk.home.root)},
            stdout=writer, stderr=subprocess.PIPE, timeout=120, check=False,
        )  # fmt: skip
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
    assert not (desk.home.root / "debug.log").exists()
    if command[:2] == ("sync", "now"):
        assert [each["event_id"] for each in receiver.events] == [event_id(1)]
        assert desk.json("sync", "status")["delivery_ledger"]["undelivered"] == 0
