"""A process that may open no more files."""

from __future__ import annotations

import sys

import pytest
from fault_figures import Figures
from fault_process import run_faults

_OPERATIONS = ("append-backlog", "emit-backlog", "drain-half-delivered", "migrate", "gc")


@pytest.mark.skipif(sys.platform != "linux", reason="counts its files in /proc")
def test_operation_without_file_handles_says_so_and_loses_nothing(figure: Figures) -> None:
    """With 0, 1, 2, … files left to open, an operation works or names `ulimit -n`."""
    for found in run_faults(*_OPERATIONS, "--kind", "handles"):
        answers = found["answers"]
        assert answers["store_handles"] >= 3, "the limit was not felt"
        assert answers["went on"] >= 3, "the limit was never high enough"
        assert sum(answers.values()) == found["tried"]
        faults = answers["store_handles"]
        figure(f"handles:{found['scenario']}", points=found["tried"], faults=faults, losses=0)
