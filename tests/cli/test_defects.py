"""A defect of the program: one line, an exit code of its own, and a traceback that is kept."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from spec_kitty_sync import api
from spec_kitty_sync.conformance import explain


class Defect(Exception):
    """What nobody foresaw."""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break one function in a way that no code provides for."""

    def fail(*_: object, **__: object) -> None:
        raise Defect("Bearer abcdefghijkl")

    monkeypatch.setattr(api, "verify", fail)
    monkeypatch.setattr(explain, "explain_lines", fail)


@pytest.mark.usefixtures("broken")
def test_defect_is_one_line_and_a_traceback_in_the_log(desk):
    """The user reads one line; the traceback stands in the log of the home, without tokens."""
    done = desk.run("sync", "verify")
    log = desk.home.root / "debug.log"
    assert done.code == 70
    assert done.out == ""
    assert done.err.startswith("error: internal error: Defect at test_defects.py:")
    assert str(log) in done.err
    assert done.err.count("\n") == 1
    told = log.read_text(encoding="utf-8")
    assert "Traceback" in told
    assert "Defect: Bearer ***" in told
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.usefixtures("broken")
def test_defect_keeps_the_promise_of_one_json_object(desk):
    """With --json stdout holds the error as an object."""
    error = desk.json("sync", "verify", code=70)["error"]
    assert (error["code"], "debug.log" in error["remedy"]) == ("internal_error", True)


@pytest.mark.usefixtures("broken")
def test_defect_without_a_log_is_shown(desk):
    """Where the home takes no log the traceback is not lost: stderr has it."""
    (desk.home.ensure().root / "debug.log").mkdir()
    done = desk.run("sync", "verify", "--json")
    assert (done.code, json.loads(done.out)["error"]["code"]) == (70, "internal_error")
    assert "Traceback" in done.err
    assert "Bearer ***" in done.err


@pytest.mark.usefixtures("broken")
def test_defect_of_the_kit_has_pytests_number(desk):
    """`conformance` ends with 3, pytest's number for an internal error."""
    assert desk.run("conformance", "explain", "SKR-IDM-03").code == 3


@pytest.mark.usefixtures("broken")
def test_traceback_is_logged_once_with_debug(desk):
    """--debug and a defect share one log."""
    assert desk.run("--debug", "sync", "verify").code == 70
    text = Path(desk.home.root / "debug.log").read_text(encoding="utf-8")
    assert text.count("Traceback") == 1
