"""What happens before a producer or a migration tool is judged: adapter, files, lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from spec_kitty_sync._words import plural
from spec_kitty_sync.conformance.adapter import (
    Adapter,
    AdapterError,
    find_adapter,
    load_adapter,
)
from spec_kitty_sync.conformance.builder import Namespace
from spec_kitty_sync.conformance.catalogue import (
    CAPTURED,
    Catalogue,
    Requirement,
    catalogue_path,
    load_catalogue,
)
from spec_kitty_sync.conformance.child import Spawn, spawn
from spec_kitty_sync.conformance.options import OptionError, RunOptions
from spec_kitty_sync.conformance.preflight import Preflight
from spec_kitty_sync.conformance.producer_events import Captured
from spec_kitty_sync.conformance.producer_files import UnreadableError, read_events
from spec_kitty_sync.conformance.producer_trial import ProducerTrial
from spec_kitty_sync.conformance.stub import StubServer
from spec_kitty_sync.conformance.suite import packaged_suite
from spec_kitty_sync.conformance.trial import Trial
from spec_kitty_sync.conformance.trial_runner import MakeTrial, TrialRunner

_UNDECLARED: Final = "the adapter says how to use {!r} and does not declare it: it is not judged"
_SHOWN_UNREADABLE: Final = 5


@dataclass(frozen=True)
class Place:
    """What stands in a report where a receiver has its address."""

    url: str
    origin: str


@dataclass(frozen=True)
class TrialPrepared:
    """A run that may start, of a tool (`adapter`) or on `events` that were captured."""

    options: RunOptions
    kind: str
    namespace: Namespace
    adapter: Adapter
    events: tuple[Captured, ...] = ()
    notes: tuple[str, ...] = ()
    found: Preflight = field(default_factory=Preflight)

    @property
    def catalogue_file(self) -> Path:
        """The requirements of this kind of subject."""
        return catalogue_path(kind=self.kind)

    @property
    def subject(self) -> str:
        """How reports call what is judged."""
        return self.options.events or f"{self.adapter.name} ({self.kind})"

    @property
    def address(self) -> Place:
        """The adapter, or the captured file: what a replay needs."""
        where = self.options.events or str(self.adapter.path)
        return Place(where, self.subject)

    @property
    def capabilities(self) -> frozenset[str]:
        """What the adapter declares."""
        return self.adapter.capabilities

    @property
    def profile(self) -> str:
        """Which rows are run."""
        if self.options.events:
            return CAPTURED
        return "soak" if self.options.only else self.options.profile

    @property
    def told_profile(self) -> str:
        """The profile as reports name it."""
        return CAPTURED if self.options.events else self.options.profile

    @property
    def verdict_note(self) -> str:
        """What the verdict is about: tools have no profiles to choose from."""
        return f" (profile {CAPTURED})" if self.options.events else ""

    def catalogue(self) -> Catalogue:
        """Return the requirements of this kind of subject."""
        return load_catalogue(self.catalogue_file)

    def rows(self) -> tuple[Requirement, ...]:
        """Return the requirements that are asked for."""
        rows = self.catalogue().selected(self.profile)
        return tuple(row for row in rows if not self.options.only or row.id in self.options.only)

    def runner(self, *, worker: str, pace: Callable[[], None] | None) -> TrialRunner:
        """Return what runs the checks, on the controller or on an xdist worker."""
        del worker, pace
        return trial_runner(self.adapter, self.kind, events=self.events or None)

    def header(self, cases: int) -> list[str]:
        """Return who is judged, and by how many cases."""
        judged = plural(len(self.events), "event") if self.options.events else "run by its adapter"
        size = f"{judged}, {plural(cases, 'case')}, seed {self.namespace.seed}"
        first = f"conformance: {self.subject}, {size}"
        return [first, *(f"note: {text}" for text in self.notes)]


def trial_runner(
    adapter: Adapter,
    kind: str,
    *,
    events: tuple[Captured, ...] | None = None,
    below: Path | None = None,
    spawn: Spawn = spawn,
) -> TrialRunner:
    """Return a runner of the *kind* suite; *events*: judge these and run nothing."""
    suite, catalogue = packaged_suite(kind), load_catalogue(catalogue_path(kind=kind))
    if events is not None:  # which are there already: it does not matter how they would be sent
        catalogue = catalogue.without_prerequisites()
    make = _maker(kind, events)
    return TrialRunner(suite, catalogue, adapter, make=make, below=below, spawn=spawn)


def prepare_trial(options: RunOptions, started_ms: int) -> TrialPrepared | str:
    """Return the run that *options* ask for, or the text that they ask for instead of one.

    Raises:
        OptionError: an adapter, a file or a check that is not there.
    """
    prepared = load_trial(options, started_ms)
    known = {row.id for row in prepared.catalogue().requirements}
    unknown = sorted(options.only - known)
    if unknown:
        raise OptionError(f"there is no check {', '.join(unknown)}; --sk-list shows all")
    if options.list_only or options.plan:
        return "".join(f"{line}\n" for line in _listed(prepared))
    return prepared


def load_trial(options: RunOptions, started_ms: int) -> TrialPrepared:
    """Read the adapter and the events that *options* name.

    Raises:
        OptionError: one of them cannot be read.
    """
    kind = "migration" if options.migration else "producer"
    name = options.migration or options.producer or "spec-kitty"
    namespace = Namespace(options.seed, started_ms)
    try:
        adapter = load_adapter(find_adapter(name, kind), kind)
        if not options.events:
            told = tuple(_UNDECLARED.format(name) for name in adapter.undeclared)
            return TrialPrepared(options, kind, namespace, adapter, notes=told)
        found = read_events(Path(options.events))
    except (AdapterError, UnreadableError) as exc:
        raise OptionError(str(exc)) from exc
    if not found.events:
        raise OptionError(
            f"{options.events} holds no event"
            + "".join(f"; {text}" for text in found.problems[:_SHOWN_UNREADABLE])
        )
    return TrialPrepared(
        options, kind, namespace, adapter, tuple(found.events), tuple(found.problems)
    )


def _maker(kind: str, events: tuple[Captured, ...] | None) -> MakeTrial:
    if kind == "migration":
        from spec_kitty_sync.conformance.migration_trial import MigrationTrial

        return MigrationTrial

    def make(adapter: Adapter, stub: StubServer, folder: Path) -> Trial:
        trial = ProducerTrial(adapter, stub, folder)
        trial.shelf = folder.parent / "shelf"
        trial.given, trial.reads_files = events or (), events is not None
        return trial

    return make


def _listed(prepared: TrialPrepared) -> list[str]:
    suite = packaged_suite(prepared.kind)
    lines = []
    for row in prepared.rows():
        gate = f" [{row.capability}]" if row.capability else ""
        cases = len(suite.checks[row.id].cases)
        lines.append(f"{row.id:11} {row.level:6} {row.profile:9} {cases:3}  {row.title}{gate}")
    return lines
