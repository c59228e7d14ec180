"""One run of diagnose: sources in, a stream of results, the report when it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spec_kitty_sync.diagnose.judge import Validate, judge
from spec_kitty_sync.diagnose.leaving import reason_to_stay
from spec_kitty_sync.diagnose.models import DiagnoseResult, Problem, Report, Source
from spec_kitty_sync.diagnose.tally import Tally
from spec_kitty_sync.errors import SpecKittyError, UsageError
from spec_kitty_sync.events.registry import Registry, default_registry
from spec_kitty_sync.events.validation import Validator


@dataclass(frozen=True)
class Rules:
    """What events are judged by: the options of the command, as CONTRACT 1 and 3 mean them."""

    packs: frozenset[str] | None = None
    strict: bool = False
    allow_unknown: bool = False

    def validator(self, registry: Registry) -> Validator:
        """Return the compiled rules.

        Raises:
            UsageError: a pack that the registry does not have.
        """
        unknown = (self.packs or frozenset()) - registry.packs()
        if unknown:
            known = ", ".join(sorted(registry.packs()))
            raise UsageError(
                f"no pack is called {', '.join(sorted(unknown))}", remedy=f"Choose from: {known}."
            )
        return Validator(
            registry,
            packs=self.packs,
            strict=self.strict,
            allow_unknown=self.allow_unknown,
        )


class Diagnosis:
    """Judges every row of some sources; holds counts, never the results."""

    def __init__(self, sources: Iterable[Source], validate: Validate) -> None:
        self._sources = sources
        self._validate = validate
        self._tally = Tally()
        self._current: Source | None = None

    @property
    def current(self) -> Source | None:
        """The source that is being read."""
        return self._current

    @property
    def judged(self) -> int:
        """How many events were judged so far."""
        return self._tally.judged

    def results(self) -> Iterator[DiagnoseResult]:
        """Yield one result for each row. A source that cannot be read does not stop the others."""
        for source in self._sources:
            self._current = source
            yield from self._of(source)

    def report(self) -> Report:
        """Return the counts of what `results` has yielded so far."""
        return self._tally.report()

    def _of(self, source: Source) -> Iterator[DiagnoseResult]:
        counts = self._tally.open(source.name)
        validate, count, explain = self._validate, counts.add, self._tally.explain
        registry = default_registry()
        try:
            for row in source.rows():
                result = judge(row, validate)
                count(result, reason_to_stay(row, result, registry=registry))
                if result.findings:
                    explain(result)
                yield result
        except SpecKittyError as exc:
            code = str(exc.facts.get("reason") or exc.code)
            counts.problem = Problem(code, exc.message, exc.remedy)
        counts.passed_over = source.passed_over
        if counts.judged:
            counts.advice = source.advice
