"""A desk with events, and receivers that answer as no receiver should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_bench import Bench, build
from desk import Desk
from rude_receiver import RudeReceiver

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import HttpClient


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An empty home, and a current folder that is no project."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Desk(tmp_path)


@pytest.fixture
def rude() -> Iterator[RudeReceiver]:
    """A receiver to script."""
    with RudeReceiver() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A home with a clock that never waits."""
    with HttpClient(deadline_s=30.0) as client:
        made = build(Home(tmp_path / "sk"), ManualClock(), client)
        yield made
        made.store.close()
