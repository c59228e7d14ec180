"""A receiver that a request kills is judged, not excused."""

from __future__ import annotations

import gzip
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


def test_receiver_that_dies_after_its_answer_leaves_a_suspect(
    run_command: RunKit, tmp_path: Path
) -> None:
    """The report names the last answered request, shows it, repeats it, and says how to go on."""
    with mortal_receiver(late=True) as url:
        done = run_command("receiver", url, "--only", "SKR-ENV-01,SKR-IDM-01")
    text = " ".join(done.stdout.split())
    assert done.returncode == 4, done.stdout + done.stderr
    assert "suspect SKR-ENV-01[payload], step 1" in text
    assert '"payload": null' in text, "the request that it answered last is shown"
    assert f"then spec-kitty conformance receiver {url} --only SKR-ENV-01" in text
    assert "the receiver was gone; suspect: SKR-ENV-01[payload] step 1. Start it again" in text
    body = tmp_path / ".sk" / "SKR-ENV-01.payload.1.suspect.gz"
    assert f"--data-binary @.sk/{body.name} {url}/api/v1/events/batch/" in text
    assert b'"payload":null' in gzip.decompress(body.read_bytes()).replace(b" ", b"")
    report = json.loads((tmp_path / ".sk" / "report.json").read_text())
    cases = [case for row in report["requirements"] for case in row["cases"]]
    assert [case["suspects"][0]["name"] for case in cases if case["outcome"] == "error"] == [
        "SKR-ENV-01[payload]"
    ]
    assert report["counts"]["failed"] == 0, "no check is blamed for what may be another's doing"


def ends_of(folder: Path) -> dict[str, list[str]]:
    """Return the cases of a report by how they ended."""
    report = json.loads((folder / ".sk" / "report.json").read_text())
    found: dict[str, list[str]] = {}
    for row in report["requirements"]:
        for case in row["cases"]:
            found.setdefault(case["outcome"], []).append(f"{row['id']}[{case['case']}]")
    return found


@pytest.mark.proof
def test_death_among_workers_blames_no_bystander(run_command: RunKit, tmp_path: Path) -> None:
    """Of several requests on their way none is failed for a receiver that stays down."""
    with mortal_receiver() as url:
        done = run_command("receiver", url, "--workers", "3", "--only", "SKR-ENV-01,SKR-IDM-01")
    ends, text = ends_of(tmp_path), " ".join(done.stdout.split())
    assert done.returncode == 4, done.stdout + done.stderr
    assert "failed" not in ends
    assert "SKR-ENV-01[payload]" in ends["error"]
    assert "the receiver was gone; suspect" in text
    assert "SKR-ENV-01[payload], step 1: POST" in text


def test_death_among_workers_is_asked_again_one_at_a_time(
    run_command: RunKit, tmp_path: Path
) -> None:
    """Where the receiver comes back, the culprit fails and everybody else is cleared."""
    with mortal_receiver(comes_back=True) as url:
        done = run_command("receiver", url, "--workers", "3", "--only", "SKR-ENV-01,SKR-IDM-01")
    ends = ends_of(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert ends["failed"] == ["SKR-ENV-01[payload]"], done.stdout
    assert set(ends) == {"passed", "failed"}, done.stdout
    assert f"1 failed, {len(ends['passed'])} passed" in done.stdout, "pytest counts the same"
