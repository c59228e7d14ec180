"""A receiver that a request kills is judged, not excused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit_runs import RunKit
from mortal_receiver import mortal_receiver


@pytest.mark.parametrize("comes_back", [False, True], ids=["stays down", "restart loop"])
def test_receiver_that_dies_of_an_event_is_not_conformant(
    run_command: RunKit, tmp_path: Path, comes_back: bool
) -> None:
    """A connection that breaks after it was made is a failure with a capsule, never an error."""
    with mortal_receiver(comes_back=comes_back) as url:
        done = run_command("receiver", url, "--only", "SKR-ENV-01,SKR-IDM-01")
    text = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stdout + done.stderr
    assert "verdict: not conformant" in text
    assert "replay spec-kitty conformance replay .sk/SKR-ENV-01.payload.json --to" in text
    assert '"payload": null' in text, "the event that killed it is shown"
    report = json.loads((tmp_path / ".sk" / "report.json").read_text())
    ends = {
        f"{row['id']}[{case['case']}]": case
        for row in report["requirements"]
        for case in row["cases"]
    }
    assert ends["SKR-ENV-01[payload]"]["outcome"] == "failed"
    assert report["counts"]["error"] == 0
    died = "SKR-ENV-01[payload]"
    reasons = [case["reason"] for case in ends.values() if case["outcome"] == "not_run"]
    if comes_back:
        assert not any("accepts no connections" in reason for reason in reasons)
    else:
        assert reasons, "what comes later did not run"
        assert f"the receiver died at {died} and accepts no connections since" in reasons
    capsule = tmp_path / ".sk" / "SKR-ENV-01.payload.json"
    with mortal_receiver(comes_back=True) as url:
        again = run_command("replay", str(capsule), "--to", url)
    assert again.returncode == 1, again.stdout + again.stderr
