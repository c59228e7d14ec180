"""One conformance run inside pytest: selection, results, verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from spec_kitty_sync._words import plural
from spec_kitty_sync.conformance import record
from spec_kitty_sync.conformance.baseline import excuse_of, load_baseline
from spec_kitty_sync.conformance.builder import Namespace
from spec_kitty_sync.conformance.client import Address
from spec_kitty_sync.conformance.conclusion import (
    HOST_CAUSE,
    Conclusion,
    conclude,
    write_reports,
)
from spec_kitty_sync.conformance.entry import (
    PREPARED,
    AnyPrepared,
    Prepared,
    arguments_of_host,
    options_of,
    prepare,
)
from spec_kitty_sync.conformance.failure_text import render
from spec_kitty_sync.conformance.items import RUNNER, SELECTION, CatalogueFile, CheckItem
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome, Verdict
from spec_kitty_sync.conformance.preflight import Preflight
from spec_kitty_sync.conformance.runner import Runner
from spec_kitty_sync.conformance.second_look import in_doubt, second_look

_WORKER_KEY = "spec_kitty_conformance"
_LEFT_OUT: pytest.StashKey[tuple[str, ...]] = pytest.StashKey()
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
    prepared = _of_worker(config) if _worker_input(config) else _of_controller(config)
    config.stash[_LEFT_OUT] = arguments_of_host(config)
    config.args[:] = [str(prepared.catalogue_file)]
    config.pluginmanager.register(ConformanceRun(config, prepared), "spec-kitty-run")


def _worker_input(config: pytest.Config) -> dict[str, Any]:
    """Return what xdist's controller gave this worker; empty on the controller itself."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return given


def _of_controller(config: pytest.Config) -> AnyPrepared:
    # A host that calls pytest's parts by itself may never have run `pytest_cmdline_main`.
    if PREPARED not in config.stash and prepare(config) is not None:
        raise pytest.UsageError("the conformance run cannot start")
    return config.stash[PREPARED]


def _of_worker(config: pytest.Config) -> AnyPrepared:
    shared = _worker_input(config)[_WORKER_KEY]
    options = replace(options_of(config), seed=shared["seed"])
    if options.producer or options.migration or options.events:
        from spec_kitty_sync.conformance.trial_entry import load_trial

        config.stash[PREPARED] = trial = load_trial(options, shared["started_ms"])
        return trial
    found = Preflight(
        capabilities=tuple(shared["capabilities"]),
        limits=tuple((name, value) for name, value in shared["limits"]),
    )
    namespace = Namespace(shared["seed"], shared["started_ms"])
    prepared = Prepared(options, Address.parse(options.url), namespace, found)
    config.stash[PREPARED] = prepared
    return prepared


class ConformanceRun:
    """The hooks of one run, on the controller and on each xdist worker."""

    def __init__(self, config: pytest.Config, prepared: AnyPrepared) -> None:
        self.config = config
        self.prepared = prepared
        self.results: dict[tuple[str, str], CheckResult] = {}
        self.conclusion: Conclusion | None = None
        self.written: list[Path] = []
        self.broken_off = False
        self._of_workers: dict[tuple[str, str], pytest.TestReport] = {}
        baseline = prepared.options.baseline
        self.known = load_baseline(baseline) if baseline is not None else ()
        pace = _pace(prepared.options.rate)
        worker = str(_worker_input(config).get("workerid", ""))
        self.runner = prepared.runner(worker=worker, pace=pace)
        wanted = {row.id for row in prepared.rows()}
        self.selection = [
            (requirement.id, case.name)
            for requirement, _, case in self.runner.selected(prepared.profile)
            if requirement.id in wanted
        ]
        config.stash[RUNNER] = self.runner
        config.stash[SELECTION] = self.selection

    @property
    def is_worker(self) -> bool:
        return bool(_worker_input(self.config))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give an xdist worker what the controller found out."""
        node.workerinput[_WORKER_KEY] = {
            "seed": self.prepared.namespace.seed,
            "started_ms": self.prepared.namespace.started_ms,
            "capabilities": list(self.prepared.found.capabilities),
            "limits": [list(pair) for pair in self.prepared.found.limits],
        }

    def pytest_report_header(self) -> list[str]:
        """Say who is judged, by what, at what cost, and how to repeat it."""
        lines = self.prepared.header(len(self.selection))
        return lines + [f"note: {text}" for text in _interference(self.config)]

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> Any:
        """Collect the catalogue, and nothing else as ours."""
        if file_path != self.prepared.catalogue_file:
            return None
        return CatalogueFile.from_parent(parent, path=file_path)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Attach the result to the report, so that it also travels from a worker."""
        report = yield
        if isinstance(item, CheckItem) and call.when == "call" and item.result is not None:
            self._mark(report, item.result)
        return report

    def _mark(self, report: Any, result: CheckResult) -> None:
        report.spec_kitty = record.result_to_json(result)
        if reason := self._excuse(result):
            # As pytest's own xfail, so that a green job shows no red test.
            report.outcome, report.wasxfail = "skipped", f"known failure: {reason}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect results where the verdict is made."""
        data = getattr(report, "spec_kitty", None)
        if data is not None and not self.is_worker:
            result = record.result_from_json(data)
            self.results[(result.check_id, result.case)] = result
            if hasattr(report, "node"):
                self._of_workers[result.check_id, result.case] = report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Name the outcome in the kit's own words."""
        data = getattr(report, "spec_kitty", None)
        if data is None:
            return None
        if self._excuse(record.result_from_json(data)):
            return "known failure", "k", "KNOWN"
        return _STATUS[Outcome(data["outcome"])]

    def _excuse(self, result: CheckResult) -> str:
        """Return why the baseline excuses *result*; nothing where it does not."""
        return excuse_of(self.known, result, datetime.now(UTC).date())

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Make the verdict and write the reports, on the controller only."""
        if not self.is_worker and not self.broken_off:
            self._look_again()
        self.runner.close()
        if self.is_worker:
            return
        cause = self._cause(session)
        self.conclusion = conclude(self.prepared, self.results, self.selection, cause)
        if self.config.getoption("reruns", None) and self.conclusion.exit_code == 0:
            # A check that passes at the second attempt has hidden what the first one found.
            self.conclusion = replace(
                self.conclusion, verdict=Verdict.INCOMPLETE, exit_code=Verdict.INCOMPLETE.exit_code
            )
        if exitstatus in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR}:
            self.conclusion = replace(self.conclusion, exit_code=int(exitstatus))
        try:
            self.written = write_reports(
                self.prepared, self.runner.catalogue, self.results, self.selection, self.conclusion
            )
        except OSError as exc:  # a full disk, or a folder that went away meanwhile
            notes = (*self.conclusion.notes, f"the reports could not be written: {exc}")
            code = self.conclusion.exit_code or Verdict.INCOMPLETE.exit_code
            self.conclusion = replace(self.conclusion, notes=notes, exit_code=code)
        session.exitstatus = self.conclusion.exit_code

    def _look_again(self) -> None:
        """Ask one at a time what several workers left in doubt, if the receiver is there."""
        runner = self.runner
        if not isinstance(runner, Runner) or not self._of_workers or not in_doubt(self.results):
            return
        if not runner.comes_back():
            return
        terminal: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        stats = terminal.stats
        for key, result in second_look(self.results, self._of_workers, runner.run).items():
            report: Any = self._of_workers[key]
            stats[self.pytest_report_teststatus(report)[0]].remove(report)
            self.results[key] = result
            failed = result.outcome in {Outcome.FAILED, Outcome.ERROR}
            report.outcome = "failed" if failed else "passed"
            row, options = runner.catalogue[result.check_id], self.prepared.options
            report.longrepr = render(row, result, options.report, options.url) if failed else None
            self._mark(report, result)
            stats.setdefault(self.pytest_report_teststatus(report)[0], []).append(report)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember that the run was broken off by its user."""
        self.broken_off = excinfo.errisinstance(KeyboardInterrupt)

    def _cause(self, session: pytest.Session) -> str:
        """Return what kept cases from running that were selected."""
        if self.broken_off:
            return "the run was interrupted (Ctrl-C)"
        early = session.shouldfail or session.shouldstop
        return f"the run ended early: {early}" if early else HOST_CAUSE

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print SHOULD findings, what did not run, the verdict and where the reports are."""
        if self.conclusion is None:
            return
        _name_by_check(terminalreporter)
        warnings = [one for one in self.results.values() if one.outcome is Outcome.WARNING]
        if warnings:
            terminalreporter.section("SHOULD findings")
            for result in warnings:
                row, options = self.runner.catalogue[result.check_id], self.prepared.options
                text = render(row, result, options.report, options.url)
                terminalreporter.line(f"{text}\n")
        excused = [(one, self._excuse(one)) for one in self.results.values()]
        if any(reason for _, reason in excused):
            terminalreporter.section("known failures")
            for result, reason in excused:
                if reason:
                    title = self.runner.catalogue[result.check_id].title
                    terminalreporter.line(f"{result.name}  {title}: {reason}")
        terminalreporter.section("conformance")
        for line in record.summary_lines(self.results, self.selection):
            terminalreporter.line(line)
        for line in self.conclusion.notes:
            terminalreporter.line(line)
        terminalreporter.line(
            f"verdict: {self.conclusion.verdict.value}{self.prepared.verdict_note}"
        )
        if self.written:
            terminalreporter.line(
                f"reports: {self.written[1]} and {self.written[0].name} beside it"
            )


def _name_by_check(terminalreporter: Any) -> None:
    """Let pytest's own summary, which comes last, name checks and not where the kit lies."""
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if hasattr(report, "spec_kitty"):
            report.nodeid = report.nodeid.rpartition("::")[2]


def _interference(config: pytest.Config) -> list[str]:
    """Say which options of the host project apply to the suite as well."""
    told = []
    for name, flag in (("keyword", "-k"), ("markexpr", "-m"), ("deselect", "--deselect")):
        value = config.getoption(name, None)
        if value:
            told.append(f"{flag} {value} of the host project applies to the suite as well")
    for name, flag in (("lf", "--last-failed"), ("stepwise", "--stepwise")):
        if config.getoption(name, None):
            told.append(f"{flag} of the host project applies to the suite as well")
    if most := config.getoption("maxfail", 0):
        flag = "-x" if most == 1 else f"--maxfail={most}"
        told.append(f"{flag} of the host project ends the suite after {plural(most, 'failure')}")
    left_out = config.stash[_LEFT_OUT]
    if left_out:
        names = " ".join(left_out)
        told.append(f"{plural(len(left_out), 'argument')} of the host project not run: {names}")
    if config.getoption("reruns", None):
        told.append("--reruns of the host project repeats failing checks")
    return told


def _pace(rate: float) -> Callable[[], None] | None:
    """Return a function that waits until the next request may go, at *rate* per second."""
    if not rate:
        return None
    due = [0.0]

    def wait() -> None:
        now = time.monotonic()
        time.sleep(max(0.0, due[0] - now))
        due[0] = max(now, due[0]) + 1 / rate

    return wait
