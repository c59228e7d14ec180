"""Each case of each check as a pytest item, collected from the catalogue itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from spec_kitty_sync.conformance.catalogue import Requirement
from spec_kitty_sync.conformance.entry import PREPARED, AnyRunner
from spec_kitty_sync.conformance.failure_text import render
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome

RUNNER: pytest.StashKey[AnyRunner] = pytest.StashKey()
SELECTION: pytest.StashKey[list[tuple[str, str]]] = pytest.StashKey()


class CheckDidNotPass(Exception):
    """Carries the text of a finding to pytest."""


class CatalogueFile(pytest.File):
    """The requirement file: its rows are what is collected."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item per selected case."""
        runner = self.config.stash[RUNNER]
        for check_id, case in self.config.stash[SELECTION]:
            name = f"{check_id}[{case}]" if case else check_id
            requirement = runner.catalogue[check_id]
            yield CheckItem.from_parent(self, name=name, requirement=requirement, case=case)


class CheckItem(pytest.Item):
    """One case of one check."""

    def __init__(self, *, requirement: Requirement, case: str, **given: Any) -> None:
        super().__init__(**given)
        self.requirement = requirement
        self.case = case
        self.result: CheckResult | None = None

    def runtest(self) -> None:
        """Run the case; pytest learns of a failure by an exception that carries its text."""
        self.result = result = self.config.stash[RUNNER].run(self.requirement.id, self.case)
        self.user_properties += [
            ("sk_check", result.check_id),
            ("sk_level", result.level),
            ("sk_outcome", result.outcome.value),
        ]
        if result.outcome in {Outcome.NOT_RUN, Outcome.NOT_APPLICABLE}:
            pytest.skip(result.reason)
        if result.outcome in {Outcome.FAILED, Outcome.ERROR}:
            options = self.config.stash[PREPARED].options
            raise CheckDidNotPass(render(self.requirement, result, options.report, options.url))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the finding's own text; only a fault of the kit shows a traceback."""
        if isinstance(excinfo.value, CheckDidNotPass):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int, str]:
        """Return what pytest prints as the place of this item."""
        return self.path, 0, self.name
