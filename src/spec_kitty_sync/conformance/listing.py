"""What there is to run, and what a run would send: without sending anything."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.catalogue import Requirement, load_catalogue
from spec_kitty_sync.conformance.negatives import SENT_ALONE
from spec_kitty_sync.conformance.options import RunOptions
from spec_kitty_sync.conformance.suite import receiver_suite


@dataclass(frozen=True)
class Budget:
    """What a check sends, measured against the reference receiver."""

    requests: int = 0
    events: int = 0


@cache
def budgets() -> dict[str, Budget]:
    """Return the budget of every check (made by `scripts/measure_budget.py`)."""
    path = shared_path("conformance", "requirements", "budget-1.0.toml")
    told = tomllib.loads(path.read_text(encoding="utf-8"))["budget"]
    return {name: Budget(**row) for name, row in told.items()}


def chosen(options: RunOptions) -> tuple[Requirement, ...]:
    """Return the requirements that a run with *options* would ask for.

    Raises:
        KeyError: `only` names a check that does not exist.
    """
    catalogue = load_catalogue()
    if options.only:
        return tuple(catalogue[check_id] for check_id in sorted(options.only))
    return catalogue.selected(options.profile)


def total(rows: tuple[Requirement, ...]) -> Budget:
    """Return the sum over *rows*."""
    known = [budgets().get(row.id, Budget()) for row in rows]
    return Budget(sum(one.requests for one in known), sum(one.events for one in known))


def list_lines(options: RunOptions) -> list[str]:
    """Return one line per check."""
    suite = receiver_suite()
    lines = []
    for row in chosen(options):
        gate = f" [{row.capability}]" if row.capability else ""
        cases = len(suite.checks[row.id].cases)
        lines.append(f"{row.id:11} {row.level:6} {row.profile:9} {cases:3}  {row.title}{gate}")
    return lines


def plan_lines(options: RunOptions) -> list[str]:
    """Return what each check would send, and the sum."""
    rows = chosen(options)
    lines = [f"{'check':11} {'requests':>8} {'events':>8}"]
    for row in rows:
        one = budgets().get(row.id, Budget())
        lines.append(f"{row.id:11} {one.requests:8} {one.events:8}  {row.title}")
    whole = total(rows)
    sums = f"{'total':11} {whole.requests:8} {whole.events:8}"
    lines.append(f"{sums}  at most, {SENT_ALONE} more for each finding; nothing was sent")
    return lines
