"""How long an author waits: a first answer at once, the whole contract soon.

A proof, not a test: on a machine that is busy with other things the figures say nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spec_kitty_sync.conformance.isolated import run_isolated
from spec_kitty_sync.conformance.reference import TOKENS, reference_receiver


@pytest.mark.proof
@pytest.mark.parametrize(("profile", "limit_s"), [("first-light", 2.0), ("core", 15.0)])
def test_run_is_quick(tmp_path: Path, profile: str, limit_s: float) -> None:
    """First light takes less than 2 s, core less than 15 s, against a local receiver."""
    with reference_receiver() as url:
        options: dict[str, str | bool | None] = {"profile": profile, "report": str(tmp_path)}
        assert run_isolated(url, token=TOKENS.own, options=options) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["run"]["duration_ms"] / 1000 < limit_s
