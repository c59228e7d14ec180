"""One conformance run inside pytest: preflight, selection, results, verdict."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from spec_kitty_sync.conformance import record
from spec_kitty_sync.conformance.builder import Namespace
from spec_kitty_sync.conformance.catalogue import catalogue_path, load_catalogue
from spec_kitty_sync.conformance.client import Address
from spec_kitty_sync.conformance.failure_text import render
from spec_kitty_sync.conformance.items import RUNNER, SELECTION, CatalogueFile, CheckItem
from spec_kitty_sync.conformance.options import OptionError, RunOptions, read_options
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome, Verdict, verdict_of
from spec_kitty_sync.conformance.preflight import Preflight, preflight
from spec_kitty_sync.conformance.probe import Surroundings
from spec_kitty_sync.conformance.runner import Runner
from spec_kitty_sync.conformance.suite import receiver_suite

_WORKER_KEY = "spec_kitty_conformance"
_STATUS = {
    Outcome.PASSED: ("passed", ".", "PASSED"),
    Outcome.WARNING: ("should", "w", "SHOULD"),
    Outcome.FAILED: ("failed", "F", "FAILED"),
    Outcome.ERROR: ("error", "E", "ERROR"),
    Outcome.NOT_APPLICABLE: ("not applicable", "-", "NOT APPLICABLE"),
    Outcome.NOT_RUN: ("not run", "?", "NOT RUN"),
}


def activate(config: pytest.Config) -> None:
    """Turn this pytest run into a conformance run; the user's own tests are not collected."""

    def option(name: str) -> str | None:
        value = config.getoption(f"sk_{name}", None)
        return "1" if value is True else value or None

    def ini(name: str) -> str | None:
        return str(config.getini(f"sk_{name}")) or None

    try:
        options = read_options(option, ini, os.environ)
        address = Address.parse(options.url)
    except (OptionError, ValueError) as exc:
        raise pytest.UsageError(str(exc)) from exc
    config.args[:] = [str(catalogue_path())]
    config.pluginmanager.register(ConformanceRun(config, options, address), "spec-kitty-run")


class ConformanceRun:
    """The hooks of one run, on the controller and on each xdist worker."""

    def __init__(self, config: pytest.Config, options: RunOptions, address: Address) -> None:
        self.config = config
        self.options = options
        self.address = address
        self.results: dict[tuple[str, str], CheckResult] = {}
        self.preflight = Preflight()
        self.verdict: Verdict | None = None
        self.seed = options.seed
        self.started_ms = time.time_ns() // 1_000_000

    @property
    def is_worker(self) -> bool:
        return hasattr(self.config, "workerinput")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Ask the receiver once whether a run makes sense, before any worker starts."""
        if self.is_worker:
            shared = self.config.workerinput[_WORKER_KEY]  # type: ignore[attr-defined]
            self.seed, self.started_ms = shared["seed"], shared["started_ms"]
            self.preflight = Preflight(
                capabilities=tuple(shared["capabilities"]),
                limits=tuple((name, value) for name, value in shared["limits"]),
            )
        else:
            self.preflight = preflight(self._surroundings())
            if not self.preflight.ok:
                self._refuse(self.preflight)
        runner = Runner(receiver_suite(), load_catalogue(), self._surroundings())
        wanted = self.options.only
        self.config.stash[RUNNER] = runner
        self.config.stash[SELECTION] = [
            (requirement.id, case.name)
            for requirement, _, case in runner.selected(self.options.profile)
            if not wanted or requirement.id in wanted
        ]

    def _refuse(self, found: Preflight) -> None:
        pytest.exit(f"{found.problem}. {found.remedy}", returncode=found.exit_code)

    def _surroundings(self) -> Surroundings:
        declared = self.options.capabilities
        capabilities = set(self.preflight.capabilities if declared is None else declared)
        capabilities.add("auth" if self.options.token else "anonymous")
        return Surroundings(
            address=self.address,
            namespace=Namespace(self.seed, self.started_ms),
            token=self.options.token,
            capabilities=frozenset(capabilities),
            limits=dict(self.preflight.limits),
            deadline_s=self.options.deadline_s,
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give an xdist worker what the controller found out."""
        node.workerinput[_WORKER_KEY] = {
            "seed": self.seed,
            "started_ms": self.started_ms,
            "capabilities": list(self.preflight.capabilities),
            "limits": [list(pair) for pair in self.preflight.limits],
        }

    def pytest_report_header(self) -> list[str]:
        """Say who is judged, by what, and how to repeat it."""
        cases = len(self.config.stash.get(SELECTION, ()))
        lines = [
            f"conformance: {self.address.origin}  profile {self.options.profile},"
            f" {cases} cases, seed {self.seed}"
        ]
        if self.options.token_on_command_line:
            lines.append("note: --sk-token is visible in the process list; use --sk-token-env")
        if self.options.token and self.address.scheme == "http" and not _is_local(self.address):
            lines.append("note: the token travels over plain http")
        return lines

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> Any:
        """Collect the catalogue, and nothing else as ours."""
        if file_path != catalogue_path():
            return None
        return CatalogueFile.from_parent(parent, path=file_path)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Attach the result to the report, so that it also travels from a worker."""
        report = yield
        if isinstance(item, CheckItem) and call.when == "call" and item.result is not None:
            report.spec_kitty = record.result_to_json(item.result)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect results where the verdict is made."""
        data = getattr(report, "spec_kitty", None)
        if data is not None and not self.is_worker:
            result = record.result_from_json(data)
            self.results[(result.check_id, result.case)] = result

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Name the outcome in the kit's own words."""
        data = getattr(report, "spec_kitty", None)
        return _STATUS[Outcome(data["outcome"])] if data is not None else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Make the verdict from what ran, not from what was planned."""
        if self.is_worker or RUNNER not in self.config.stash:
            return
        expected = self.config.stash[SELECTION]
        missing = sum(key not in self.results for key in expected)
        self.verdict = verdict_of(self.results.values(), missing + bool(self.options.only))
        self.config.stash[RUNNER].close()
        if exitstatus not in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR}:
            session.exitstatus = self.verdict.exit_code

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print SHOULD findings, what did not run, and the verdict."""
        if self.verdict is None:
            return
        runner = self.config.stash[RUNNER]
        warnings = [one for one in self.results.values() if one.outcome is Outcome.WARNING]
        if warnings:
            terminalreporter.section("SHOULD findings")
            for result in warnings:
                terminalreporter.line(render(runner.catalogue[result.check_id], result))
                terminalreporter.line("")
        terminalreporter.section("conformance")
        selection = self.config.stash[SELECTION]
        profile = self.options.profile
        for line in record.summary_lines(self.results, selection, self.verdict, profile):
            terminalreporter.line(line)


def _is_local(address: Address) -> bool:
    return address.host in {"localhost", "::1"} or address.host.startswith("127.")
