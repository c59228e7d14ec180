"""No statement of delivery walks the ledger or the journal where a seek would do."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

from spec_kitty_sync import delivery
from spec_kitty_sync.event_journal import retention

# Reads everything by intention, for `doctor`, a preview, or one hand-made command.
WHOLE = {
    "soundness._UNCOVERED",
    "soundness._MISCOUNTED",
    "soundness._STRAY",
    "redelivery._PREVIEW",
    "redelivery._MAY_HAVE_LEFT",
    "runs._OPEN_TEAM",
    "targets._OPEN_FITTING",
    "selection._TOP",  # in descending order, one row
    "waiting._BARRED",
    "waiting._BARRED_ANYWHERE",
    "retries._CHOSEN",
    "history._STALLED",
    "history._FAILED",
    "history._FAILED_IN_RUN",
}
_TABLES = r"(?:l|j|delivery_ledger|event_journal)"
_SCAN = re.compile(rf"^SCAN {_TABLES}(?: |$)|^SEARCH l USING PRIMARY KEY \(target_id=\?\)$")


def statements() -> dict[str, str]:
    """Return every SQL constant of the domain, and those of gc, which ask its view."""
    found = {}
    modules = [info.name for info in pkgutil.iter_modules(delivery.__path__)]
    for name in modules:
        module = importlib.import_module(f"{delivery.__name__}.{name}")
        for constant, value in vars(module).items():
            if isinstance(value, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", value):
                found[f"{name}.{constant}"] = value
    found["retention._ELIGIBLE"] = retention._ELIGIBLE
    found["retention._CLEAR"] = retention._CLEAR
    return found


def plan_of(bench, statement: str) -> list[str]:
    numbered = len(re.findall(r"\?(?!\d)", statement)) or max(
        (int(n) for n in re.findall(r"\?(\d+)", statement)), default=0
    )
    names = re.findall(r":(\w+)", statement)
    values = dict.fromkeys(names, 1) if names else (1,) * numbered
    return [row[3] for row in bench.store.conn.execute("EXPLAIN QUERY PLAN " + statement, values)]


def test_there_are_statements_to_look_at():
    """The search for statements finds them."""
    assert len(statements()) > 40
    assert set(statements()) >= WHOLE


@pytest.mark.parametrize("name", sorted(set(statements()) - WHOLE))
def test_statement_seeks(bench, name):
    """Neither ledger nor journal is walked, and nothing of theirs is sorted."""
    plan = plan_of(bench, statements()[name])
    assert not [line for line in plan if _SCAN.match(line)], plan
