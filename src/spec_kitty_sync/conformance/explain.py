"""Everything that is known about one check, for someone who has never seen it."""

from __future__ import annotations

import textwrap
import tomllib

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.catalogue import catalogue_path, kind_of, load_catalogue
from spec_kitty_sync.conformance.extra_paths import PROMISES
from spec_kitty_sync.conformance.listing import Budget, budgets
from spec_kitty_sync.conformance.suite import packaged_suite

_WIDTH = 92
_SUBJECTS = {"receiver": "receivers", "producer": "producers", "migration": "migration tools"}
_FAMILIES = {
    "TRN": "transport",
    "AUT": "who may write",
    "ENV": "the envelope",
    "PAY": "payloads",
    "BAT": "batches and results",
    "IDM": "the same id again",
    "ORD": "order",
    "PAR": "partial failure",
    "LIM": "limits",
    "ENC": "encodings",
    "ERR": "error bodies",
    "CON": "concurrency",
    "HLT": "health",
    "ROB": "robustness",
    "SEC": "security",
    "EVT": "the events themselves",
    "WIR": "what goes over the wire",
    "RES": "what answers lead to",
    "TIE": "who may read",
    "DUR": "nothing is lost",
    "REP": "the truth in numbers",
    "SRC": "sources",
    "DUP": "the same id again",
    "BAD": "damage",
    "CRA": "crashes",
    "CLN": "cleaning up",
    "MOD": "the model",
}


def explain_lines(check_id: str) -> list[str]:
    """Return the requirement, why it matters, what is sent, and what the check has caught.

    Raises:
        KeyError: there is no such check.
    """
    kind = kind_of(check_id)
    row = load_catalogue(catalogue_path(kind=kind))[check_id]
    check = packaged_suite(kind).checks[check_id]
    budget = budgets().get(check_id, Budget())
    family = _FAMILIES.get(check_id.split("-")[1], "")
    lines = [f"{row.id}  {row.level}  {row.title}", f"  family {family}, profile {row.profile}"]
    if row.capability:
        lines.append(f"  only for {_SUBJECTS[kind]} that declare {row.capability!r}")
        lines += [f"    {call}" for call in PROMISES.get(row.capability, ())]
    if row.provisional:
        lines.append(f"  provisional: it warns, and makes no {_SUBJECTS[kind]} non-conformant")
    lines += ["", f"  {row.clause} says"]
    lines += _wrapped(f"“{row.sentence}”")
    lines += ["", "  Why it matters", *_wrapped(f"Otherwise {row.why}.")]
    count = f"{len(check.cases)} case{'s' * (len(check.cases) != 1)}"
    if row.about_receivers:
        lines += ["", f"  What is sent: {budget.requests} requests with {budget.events} events, in"]
        lines[-1] += f" {count}"
    else:
        captured = ", also on captured events" if row.captured else ""
        lines += ["", f"  What is run: {count}, each in a home of its own{captured}"]
    names = [case.name for case in check.cases if case.name]
    lines += _wrapped(", ".join(names)) if names else []
    if row.after:
        lines += ["", f"  Runs only where these hold: {', '.join(row.after)}"]
    caught = caught_by(check_id)
    if caught:
        lines += ["", f"  Broken {_SUBJECTS[kind]} that it has caught"]
        lines += [f"    {name}" for name in caught]
    return lines


def caught_by(check_id: str) -> list[str]:
    """Return the faults whose named killer is *check_id*."""
    path = shared_path("conformance", kind_of(check_id), "mutants.toml")
    told = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    return [name for name, entry in told.items() if check_id in entry["killers"]]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ")
