"""Runs checks of command-line tools: each case in a folder of its own, against one stub."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from spec_kitty_sync.conformance.adapter import Adapter, AdapterError
from spec_kitty_sync.conformance.case_runner import CaseRunner, ending_of, result_of
from spec_kitty_sync.conformance.catalogue import Catalogue, Requirement
from spec_kitty_sync.conformance.child import Spawn, spawn
from spec_kitty_sync.conformance.outcome import CheckResult
from spec_kitty_sync.conformance.stub import StubServer
from spec_kitty_sync.conformance.suite import Case, Check, Suite
from spec_kitty_sync.conformance.trial import Trial

MakeTrial = Callable[[Adapter, StubServer, Path], Trial]


class TrialRunner(CaseRunner):
    """Runs the checks of one suite against one tool; keeps what is already known.

    *below* is where the homes of the cases stand (default: the folder for temporary files),
    *spawn* what starts its commands.
    """

    declares = "the adapter does not declare"

    def __init__(
        self,
        suite: Suite,
        catalogue: Catalogue,
        adapter: Adapter,
        *,
        make: MakeTrial,
        below: Path | None = None,
        spawn: Spawn = spawn,
    ) -> None:
        super().__init__(suite, catalogue, adapter.capabilities)
        self.adapter = adapter
        self._make = make
        self._spawn = spawn
        self._folder = Path(tempfile.mkdtemp(prefix="sk-trial-", dir=below))
        self._stub: StubServer | None = None
        self._count = 0

    def close(self) -> None:
        """Stop the stub and remove every folder."""
        if self._stub is not None:
            self._stub.__exit__(None, None, None)
            self._stub = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def attempt(self, requirement: Requirement, check: Check, case: Case) -> CheckResult:
        """Run one case now, in a new folder."""
        stub = self._listening()
        stub.forget()
        self._count += 1
        folder = self._folder / str(self._count)
        trial = self._make(self.adapter, stub, folder)
        trial.spawn = self._spawn

        def body() -> None:
            try:
                check.run(trial, case)
                trial.settle()
            except OSError as wrong:
                raise AdapterError(f"the command could not be run: {wrong}") from wrong
            except (AttributeError, LookupError, TypeError, ValueError) as odd:
                raise AdapterError(f"the check cannot read what came: {odd!r}") from odd

        started = time.perf_counter()
        try:
            ending = ending_of(requirement, body, broken=AdapterError)
        finally:
            trial.close()
        spent_ms = (time.perf_counter() - started) * 1000
        _remove(folder)
        posts = [one for one in trial.exchanges if not one.is_command]
        return result_of(
            requirement,
            case,
            ending,
            ruled_out=self.ruled_out(requirement),
            exchanges=tuple(trial.exchanges),
            duration_ms=spent_ms,
            requests=len(posts),
            events_sent=sum(one.request.event_count or 0 for one in posts),
        )

    def _listening(self) -> StubServer:
        if self._stub is None:
            # Its server would print a line for each request.
            logging.getLogger("werkzeug").setLevel(logging.ERROR)
            self._stub = StubServer().__enter__()
        return self._stub


def _remove(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
