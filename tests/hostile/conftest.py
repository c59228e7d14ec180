"""A desk with events, and receivers that answer as no receiver should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from rude_receiver import RudeReceiver


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
