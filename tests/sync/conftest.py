"""Desks and receivers that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from producing import Desk, Receiver


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Somebody's machine, with an empty home and a project."""
    return Desk(tmp_path / "desk")


@pytest.fixture
def make_receiver(tmp_path: Path) -> Iterator[Callable[..., Receiver]]:
    """Start real receivers with a user, a team and a database of their own."""
    started: list[Receiver] = []

    def start(*options: str, **more: Any) -> Receiver:
        folder = tmp_path / f"receiver-{len(started)}"
        folder.mkdir()
        started.append(Receiver(folder, options, **more).start())
        return started[-1]

    yield start
    for receiver in started:
        receiver.stop()
