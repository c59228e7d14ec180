"""Everything for a bug report on one page: status, checks, what would happen now. Reads only."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from spec_kitty_sync import __version__
from spec_kitty_sync._clock import Clock, SystemClock, utc_iso
from spec_kitty_sync.delivery.history import LogEntry, recent_log
from spec_kitty_sync.diagnose import Diagnosis, Report, Rules
from spec_kitty_sync.errors import SpecKittyError
from spec_kitty_sync.registry_load import load_registry
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.diagnose_sources import waiting_sources
from spec_kitty_sync.sync.drain_preview import DrainPreview, preview_drain
from spec_kitty_sync.sync.soundness import find_faults
from spec_kitty_sync.sync.status import build_status
from spec_kitty_sync.sync.status_report import Attention, StatusReport
from spec_kitty_sync.sync.workspace import read_workspace

_SCRIPT = "spec-kitty"
_OURS = "spec-kitty-sync"
_LOGGED = 5
_RESET_BUG = ((3, 7, 0), (3, 51, 2))
_PRIVATE = ("SPEC_KITTY_TOKEN",)


@dataclass(frozen=True)
class Environment:
    """What this program runs on. `script_owners` are distributions that install `spec-kitty`."""

    version: str
    python: str
    sqlite: str
    system: str
    executable: str
    script: str | None
    script_owners: tuple[str, ...]
    variables: dict[str, str]


@dataclass(frozen=True)
class Finding:
    """One thing that doctor found; `remedy` is None where it is only good to know."""

    code: str
    message: str
    remedy: str | None


@dataclass(frozen=True)
class DoctorReport:
    """One page. `problem` says why the journal cannot be read; `status` may be None then."""

    generated_at: str
    environment: Environment
    home: str
    status: StatusReport | None
    problem: Attention | None
    findings: tuple[Finding, ...]
    diagnosis: Report | None
    next: DrainPreview | None
    refusal: Attention | None
    log: tuple[LogEntry, ...]

    @property
    def exit_code(self) -> int:
        """3 when something needs attention, else 0."""
        status = self.status
        sound = self.problem is None and status is not None and not status.attention
        return 0 if sound and not any(finding.remedy for finding in self.findings) else 3


def examine(settings: Settings, *, clock: Clock | None = None) -> DoctorReport:
    """Return one page on this home; asks the server, changes nothing."""
    clock = clock or SystemClock()
    environment = _environment(settings)
    status, problem = None, None
    try:
        status = build_status(settings, check=True, clock=clock)
    except SpecKittyError as exc:
        problem = _as_attention(exc)
    upcoming, refusal = _next(settings)
    findings = [*_about_environment(environment), *_about_home(settings)]
    log: tuple[LogEntry, ...] = ()
    if problem is None:
        # What status looks at may be sound where the rest of the file is not.
        try:
            findings += _about_ledger(settings)
            log = _log(settings)
        except SpecKittyError as exc:
            problem = _as_attention(exc)
    return DoctorReport(
        generated_at=utc_iso(clock.now_ms()),
        environment=environment,
        home=str(settings.home.root),
        status=status,
        problem=problem,
        findings=tuple(findings),
        diagnosis=_diagnosis(settings),
        next=upcoming,
        refusal=refusal,
        log=log,
    )


def _environment(settings: Settings) -> Environment:
    shown = {
        name: "(set)" if name in _PRIVATE else value
        for name, value in sorted(settings.environ.items())
        if name.startswith("SPEC_KITTY_")
    }
    return Environment(
        version=__version__,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        system=platform.platform(),
        executable=sys.executable,
        script=shutil.which(_SCRIPT, path=settings.environ.get("PATH")),
        script_owners=tuple(sorted(set(_script_owners()))),
        variables=shown,
    )


def _script_owners() -> Iterator[str]:
    for point in metadata.entry_points(group="console_scripts", name=_SCRIPT):
        if point.dist is not None:
            yield point.dist.metadata["Name"]


def _about_environment(environment: Environment) -> Iterator[Finding]:
    others = [name for name in environment.script_owners if name != _OURS]
    if others:
        names = ", ".join(others)
        yield Finding(
            "script_owner",
            f"the command `{_SCRIPT}` is also installed by {names}; either may run",
            f"Run `{environment.executable} -m spec_kitty_sync`, or `pip uninstall {others[0]}`.",
        )
    version = tuple(int(part) for part in environment.sqlite.split("."))
    if _RESET_BUG[0] <= version <= _RESET_BUG[1]:
        yield Finding(
            "sqlite_version",
            f"SQLite {environment.sqlite} can damage a log that two programs write and checkpoint "
            "at once; our own lock prevents that, other programs must not write journal.db",
            None,
        )


def _about_home(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if os.name != "posix" or not home.root.exists():
        return
    for path, wanted in ((home.root, 0o700), (home.journal_db, 0o600), (home.credentials, 0o600)):
        if _mode(path) & 0o077:
            yield Finding(
                "open_permissions",
                f"{path} can be read by others",
                f"Run `chmod {wanted:o} {path}`.",
            )


def _mode(path: Path) -> int:
    """Return its permissions; 0 without such a file, for one may go in this moment."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0


def _about_ledger(settings: Settings) -> Iterator[Finding]:
    with read_workspace(settings) as workspace:
        faults = find_faults(workspace.store) if workspace else []
    for fault in faults:
        yield Finding("ledger", fault, "Report this page; `spec-kitty sync verify` says more.")


def _diagnosis(settings: Settings) -> Report | None:
    try:
        rules = Rules()
        validator = rules.validator(load_registry())
        diagnosis = Diagnosis(waiting_sources(settings), validator.validate)
        for _ in diagnosis.results():
            pass
        return diagnosis.report()
    except SpecKittyError:
        return None  # status names what cannot be read


def _next(settings: Settings) -> tuple[DrainPreview | None, Attention | None]:
    try:
        return preview_drain(settings), None
    except SpecKittyError as exc:
        return None, _as_attention(exc)


def _log(settings: Settings) -> tuple[LogEntry, ...]:
    with read_workspace(settings) as workspace:
        return recent_log(workspace.store, _LOGGED) if workspace else ()


def _as_attention(exc: SpecKittyError) -> Attention:
    return Attention(exc.code, exc.message, exc.remedy)
