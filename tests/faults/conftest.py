"""What the fault tests share: a place for the figures of the last run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
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


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that compiles one of the C files here for LD_PRELOAD."""

    def build(source: str) -> Path:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("missing tool: a C compiler, to stand between a process and its disk")
        library = tmp_path_factory.mktemp("preloaded") / f"{source}.so"
        flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-U_FORTIFY_SOURCE", "-o"]
        code = Path(__file__).with_name(source)
        subprocess.run([compiler, *flags, library, code, "-ldl", "-pthread"], check=True)
        return library

    return build


@pytest.fixture
def figure(request: pytest.FixtureRequest, figures_folder: Path | None) -> Figures:
    """Write down what this test counted: `figure("kill:append", points=59, kills=59, losses=0)`."""
    says = " ".join((request.function.__doc__ or "").split())
    whole = request.node.get_closest_marker("proof") is not None
    figures = Figures(figures_folder, request.node.nodeid, says, whole)
    figures.forget()
    return figures
