"""Faults on purpose: each breaks one promise of the healthy receiver, for tests only.

A fault is a function `Parts → Parts` that replaces one seam. None is ever on unless named with
`--fault`; the receiver then says so on standard error and in health (`faults`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.receiver.faults.access import ACCESS
from spec_kitty_sync.receiver.faults.answers import ANSWERS
from spec_kitty_sync.receiver.faults.judging import JUDGING
from spec_kitty_sync.receiver.faults.seams import Fault
from spec_kitty_sync.receiver.faults.storing import STORING
from spec_kitty_sync.receiver.parts import Parts

__all__ = ["FAULTS", "Fault", "faulty"]

FAULTS: Mapping[str, Fault] = MappingProxyType({**ACCESS, **ANSWERS, **JUDGING, **STORING})
"""Every fault by name."""


def faulty(parts: Parts, names: Iterable[str]) -> Parts:
    """Return *parts* with the named faults applied in order.

    Raises:
        UsageError: there is no fault of that name.
    """
    for name in names:
        if name not in FAULTS:
            raise UsageError(
                f"there is no fault {name!r}",
                remedy="Run `spec-kitty receiver serve --list-faults`.",
            )
        parts = FAULTS[name].apply(parts)
    return parts
