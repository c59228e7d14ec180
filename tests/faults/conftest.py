"""What the fault tests share: a place for the figures of the last run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fault_figures import Figures

pytest.register_assert_rewrite("oracle")


@pytest.fixture(scope="session")
def figures_folder() -> Path | None:
    """Where `SK_FAULT_FIGURES` wants the figures; read before any test clears the environment."""
    folder = os.environ.get("SK_FAULT_FIGURES")
    if not folder:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.fixture
def figure(request: pytest.FixtureRequest, figures_folder: Path | None) -> Figures:
    """Write down what this test counted: `figure("kill:append", points=59, kills=59, losses=0)`."""
    says = " ".join((request.function.__doc__ or "").split())
    whole = request.node.get_closest_marker("proof") is not None
    figures = Figures(figures_folder, request.node.nodeid, says, whole)
    figures.forget()
    return figures
