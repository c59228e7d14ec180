"""Registers checks and finds them: which functions test which requirement, in which cases."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from spec_kitty_sync._files import shared_path


@dataclass(frozen=True)
class Case:
    """One row of a check: a name that stays stable, and its values."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


CheckFunction = Callable[[Any, Case], None]
"""Takes the suite's own means (a `Probe`, or a `Trial`) and the case."""


@dataclass(frozen=True)
class Check:
    """A function that tests one requirement, and the cases it is run with."""

    id: str
    run: CheckFunction
    cases: tuple[Case, ...]


class Suite:
    """All checks of one kind, by requirement id."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self.checks: dict[str, Check] = {}
        for check in checks:
            if check.id in self.checks:
                raise ValueError(f"two checks claim {check.id}")
            self.checks[check.id] = check


def check(check_id: str, *cases: Case) -> Callable[[CheckFunction], CheckFunction]:
    """Mark a function as the test of requirement *check_id*, run once per case."""

    def mark(function: CheckFunction) -> CheckFunction:
        names = [case.name for case in cases]
        if len(set(names)) != len(names):
            raise ValueError(f"{check_id} has two cases of one name")
        marked = Check(check_id, function, cases or (Case(""),))
        function.__dict__["conformance_check"] = marked
        return function

    return mark


def rows(*names: str, **shared: Any) -> tuple[Case, ...]:
    """Return one case per name, all with the *shared* values."""
    return tuple(Case(name, dict(shared)) for name in names)


def receiver_suite() -> Suite:
    """Return the packaged receiver suite; its files are read once per process."""
    return packaged_suite("receiver")


@cache
def packaged_suite(kind: str) -> Suite:
    """Return the packaged suite for receivers, producers or migration tools."""
    found: list[Check] = []
    for path in sorted(shared_path("conformance", kind).glob("*.py")):
        name = f"spec_kitty_sync_suite.{kind}.{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot load {path}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        for value in vars(module).values():
            marked = getattr(value, "conformance_check", None)
            if isinstance(marked, Check) and value.__module__ == name:
                found.append(marked)
    return Suite(found)
