"""The public names of the domain are pinned: scripts and other packages lean on them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spec_kitty_sync import delivery

NAMES = [
    "BatchResult",
    "DeliveryReceiver",
    "DeliveryState",
    "Dispatcher",
    "DrainOptions",
    "DrainReport",
    "EventSyncConfig",
    "ExternalReceiver",
    "Outcome",
    "SqliteLedger",
    "StubReceiver",
    "Target",
    "TargetRegistry",
    "TeamspaceReceiver",
]


def test_names_are_pinned_and_lead_somewhere():
    """Exactly these names are exported, and each is what it says."""
    assert delivery.__all__ == NAMES
    for name in NAMES:
        assert getattr(delivery, name).__name__ == name
    with pytest.raises(AttributeError):
        delivery.Nonsense  # noqa: B018  (the access is what is tested)


def test_states_and_outcomes_are_those_of_the_contract():
    """The words in ledger and report do not drift."""
    assert [state.value for state in delivery.DeliveryState] == [
        "open",
        "held",
        "pending",
        "transient",
        "rejected",
        "delivered",
        "dead_letter",
        "terminal_failed",
    ]
    assert {outcome.value for outcome in delivery.Outcome} == {
        "success",
        "duplicate",
        "pending",
        "rejected",
        "terminal-failed",
        "transient",
    }


def test_package_import_is_light():
    """Importing the package loads neither httpx nor sqlite3."""
    code = (
        "import sys, spec_kitty_sync.delivery;"
        "sys.exit(bool({'httpx', 'sqlite3', 'filelock'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
