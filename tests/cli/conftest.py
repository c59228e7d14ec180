"""A desk and a small receiver for the commands of the operator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk
from small_receiver import SmallReceiver


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    folder = tmp_path / "nowhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Desk(tmp_path)


@pytest.fixture
def receiver() -> Iterator[SmallReceiver]:
    with SmallReceiver() as running:
        yield running
