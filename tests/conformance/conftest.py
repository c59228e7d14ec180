"""Fixtures of the kit's tests: ways to run it as its users do."""

from kit_runs import run_command, run_pytest

__all__ = ["run_command", "run_pytest"]
