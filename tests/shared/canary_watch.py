"""A pytest plugin: the canary must not be in what the tests wrote, printed or started.

Files are searched when all is over, by the process that collects the results, so that it makes no
difference how many workers ran. What each test printed is searched with its report; command
lines and the output of child processes when they start and end.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from canary import holds_canary, leaks_below


class CanaryWatch:
    """Notes every place where the canary was found."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        printed = "".join(text for _, text in report.sections)
        if holds_canary(printed.encode(errors="replace")):
            self.found.append(f"{report.nodeid} printed it ({report.when})")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return
        factory = session.config._tmp_path_factory  # type: ignore[attr-defined]  # no public name
        self.found += [str(path) for path in leaks_below(factory.getbasetemp())]
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.found:
            terminalreporter.section("a secret got out", red=True)
            for place in self.found:
                terminalreporter.line(f"LEAK {place}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CanaryWatch(), "canary-watch")
    sys.addaudithook(_refuse_open_command_lines)
    _search_output_of_children()


def _refuse_open_command_lines(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and holds_canary(repr(arguments[1]).encode()):
        raise AssertionError("a command line holds the canary: `ps` shows it to everybody")


def _search_output_of_children() -> None:
    """Make `communicate`, and with it `subprocess.run`, fail on output that holds the canary."""
    plain = subprocess.Popen.communicate

    def searched(self: Any, *args: Any, **named: Any) -> Any:
        output = plain(self, *args, **named)
        if holds_canary(repr(output).encode()):
            raise AssertionError(f"the output of {self.args} holds the canary")
        return output

    subprocess.Popen.communicate = searched  # type: ignore[method-assign]  # for this session
