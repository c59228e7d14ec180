"""A plugin: `--refuse-missing-tools` fails a run that left tests out for want of a tool."""

from __future__ import annotations

from typing import Any

import pytest

_REASON = "missing tool"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option with which CI asks for every test."""
    parser.addoption(
        "--refuse-missing-tools",
        action="store_true",
        help="fail where a test was skipped because the machine lacks a tool",
    )


def _lacking(config: pytest.Config) -> list[str]:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or not config.getoption("--refuse-missing-tools"):
        return []
    skipped = terminal.stats.get("skipped", [])
    reasons = {report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)}
    return sorted(reason for reason in reasons if _REASON in reason)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run."""
    if _lacking(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which tools have to be installed."""
    for reason in _lacking(config):
        terminalreporter.line(f"REFUSED {reason}", red=True)
