"""Shared by all tests: no test sees the developer's own home, environment or network settings."""

from __future__ import annotations

import os

import pytest

pytest_plugins = ["canary_watch", "loopback_only", "missing_tools"]


@pytest.fixture(autouse=True)
def _private_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Every test has a home of its own and none of the developer's SPEC_KITTY_* variables."""
    for name in list(os.environ):
        if name.startswith(("SPEC_KITTY_", "SK_")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SPEC_KITTY_HOME", str(home / ".spec-kitty"))
