"""A home to deliver from, and a live stub to deliver to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from delivery_bench import Bench, build

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._http import HttpClient
from spec_kitty_sync.conformance.stub import StubServer


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with HttpClient(deadline_s=5.0) as client:
        made = build(Home(tmp_path / "sk"), ManualClock(), client)
        yield made
        made.store.close()


@pytest.fixture
def bench_at(bench: Bench, tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    """Return an opener of more homes (or, with "sk", of the bench's own) beside it."""
    opened: list[Bench] = []

    def open_home_at(name: str) -> Bench:
        opened.append(build(Home(tmp_path / name), bench.clock, bench.client))
        return opened[-1]

    yield open_home_at
    for made in opened:
        made.store.close()


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server
