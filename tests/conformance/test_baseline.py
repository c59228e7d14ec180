"""Known failures: excused by name, reason and date, and never for longer than needed."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from kit_runs import RunKit
from plain_receiver import ForgetfulReceiver, PlainReceiver, serving

from spec_kitty_sync.conformance.baseline import BaselineError, Known, compare, load_baseline
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome

TODAY = date(2026, 3, 1)
LATER = date(2026, 12, 31)


def result(check: str, outcome: Outcome, case: str = "") -> CheckResult:
    return CheckResult(check, case, "MUST", outcome)


def by_key(*results: CheckResult) -> dict[tuple[str, str], CheckResult]:
    return {(one.check_id, one.case): one for one in results}


def test_known_failure_is_excused_for_its_case_only() -> None:
    """An entry with a case covers that case; the same check failing elsewhere is new."""
    results = by_key(result("A", Outcome.FAILED, "x"), result("A", Outcome.FAILED, "y"))
    found = compare([Known("A", "old", LATER, "x")], results, TODAY)
    assert [one.case for one in found.known] == ["x"]
    assert [one.case for one in found.new] == ["y"]
    assert not found.holds


def test_entry_that_is_needed_no_more_fails_the_run() -> None:
    """A known failure that is gone has to leave the list."""
    found = compare([Known("A", "old", LATER)], by_key(result("A", Outcome.PASSED)), TODAY)
    assert not found.holds
    assert found.stale == ("A fails no more: remove the entry",)


def test_expired_entry_excuses_nothing() -> None:
    """After its date an entry is named, and the failure counts."""
    entry = Known("A", "old", date(2026, 2, 28))
    found = compare([entry], by_key(result("A", Outcome.FAILED)), TODAY)
    assert not found.holds
    assert len(found.new) == 1
    assert "expired on 2026-02-28" in found.stale[0]


@pytest.mark.parametrize(
    "text", ['check = "A"\nreason = "x"', 'check = "A"\nexpires = 2026-12-31', "reason = 1"]
)
def test_entry_without_reason_or_date_is_refused(tmp_path: Path, text: str) -> None:
    """An excuse without a reason and an end is none."""
    path = tmp_path / "known.toml"
    path.write_text(f"[[known]]\n{text}\n")
    with pytest.raises(BaselineError, match="needs"):
        load_baseline(path)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('check = "SKR-LIM-6"', "known 1: check is 'SKR-LIM-6'; .*did you mean SKR-LIM-06"),
        ('check = "SKR-IDM-01"\ncase = "nonsuch"', "SKR-IDM-01 has one case without a name"),
        ('check = "SKR-LIM-06"\ncase = "nonsuch"', "case is 'nonsuch'; SKR-LIM-06 has"),
        ('check = "SKM-NON-99"', "there is no such check"),
        ('check = "SKR-LIM-06"\nexpiry = 1', "known 1: expiry is 1; there is no such key"),
    ],
)
def test_entry_for_what_does_not_exist_is_refused(
    tmp_path: Path, run_command: RunKit, entry: str, told: str
) -> None:
    """A typing error excuses nothing in silence: it is named, with what looks like it."""
    path = tmp_path / "known.toml"
    path.write_text(f'[[known]]\n{entry}\nreason = "x"\nexpires = 2099-01-01\n')
    done = run_command("receiver", "http://127.0.0.1:1", "--baseline", str(path))
    assert done.returncode == 4
    assert re.search(told, done.stderr), done.stderr
    assert str(path) in done.stderr


class _Created(PlainReceiver):
    """Answers 201 where 200 is asked for, which keeps most checks from running."""

    def answer(self, token: str | None, encoding: str | None, body: bytes) -> tuple[int, Any]:
        status, answer = super().answer(token, encoding, body)
        return 201 if status == 200 else status, answer


@pytest.mark.parametrize("narrow", [(), ("--only", "SKR-TRN-01,SKR-IDM-01")], ids=["whole", "only"])
def test_baseline_excuses_failures_and_never_what_did_not_run(
    tmp_path: Path, run_command: RunKit, narrow: tuple[str, ...]
) -> None:
    """With every failure excused, a run in which cases did not run is incomplete: exit code 4."""
    baseline = tmp_path / "known.toml"
    options = ("--profile", "core", *narrow)
    with serving(_Created()) as url:
        run_command("receiver", url, *options)
        rows = json.loads((tmp_path / ".sk" / "report.json").read_text())["requirements"]
        ends = {(row["id"], one["outcome"]) for row in rows for one in row["cases"]}
        assert "not_run" in {outcome for _, outcome in ends}
        failed = sorted(check for check, outcome in ends if outcome == "failed")
        entries = (f'[[known]]\ncheck = "{one}"\nreason = "x"' for one in failed)
        baseline.write_text("".join(f"{one}\nexpires = 2099-01-01\n" for one in entries))
        done = run_command("receiver", url, *options, "--baseline", str(baseline))
    assert ", 0 new" in done.stdout
    assert "baseline: it excuses failures, not the" in done.stdout
    assert done.returncode == 4, done.stdout


def test_case_that_did_not_run_is_not_taken_for_mended() -> None:
    """An entry is called needless only where its cases ran."""
    entry = Known("A", "old", LATER)
    ended = by_key(result("A", Outcome.PASSED, "x"), result("A", Outcome.NOT_RUN, "y"))
    assert compare([entry], ended, TODAY).stale == ()
    ended = by_key(result("A", Outcome.PASSED, "x"))
    assert compare([entry], ended, TODAY, missing=[("A", "y")]).stale == ()


def test_run_with_known_failures_ends_with_zero_and_says_so(
    run_pytest: RunKit, tmp_path: Path
) -> None:
    """A baseline changes the exit code, never the verdict."""
    baseline = tmp_path / "known.toml"
    baseline.write_text(
        '[[known]]\ncheck = "SKR-IDM-01"\nreason = "no store yet"\nexpires = 2099-01-01\n'
    )
    options = ("--sk-profile=first-light", f"--sk-baseline={baseline}")
    with serving(ForgetfulReceiver()) as url:
        known = run_pytest(f"--sk-conformance={url}", *options)
    assert known.returncode == 0, known.stdout
    assert "verdict: not conformant" in known.stdout
    assert "baseline: 1 known failure, 0 new" in known.stdout
    assert "no store yet" in known.stdout  # the excuse, in one line
    assert "FAILURES" not in known.stdout
    with serving(PlainReceiver()) as url:
        mended = run_pytest(f"--sk-conformance={url}", *options)
    assert mended.returncode == 1
    assert "SKR-IDM-01 fails no more: remove the entry" in mended.stdout


def test_known_failure_is_no_red_test_in_junit(run_pytest: RunKit, tmp_path: Path) -> None:
    """A job that is green by its baseline shows a skipped test, ours and pytest's report alike."""
    baseline = tmp_path / "known.toml"
    baseline.write_text(
        '[[known]]\ncheck = "SKR-IDM-01"\nreason = "no store yet"\nexpires = 2099-01-01\n'
    )
    options = ("--sk-profile=first-light", f"--sk-baseline={baseline}", "--junitxml=host.xml")
    with serving(ForgetfulReceiver()) as url:
        done = run_pytest(f"--sk-conformance={url}", *options)
    assert done.returncode == 0, done.stdout
    for path in (tmp_path / ".sk" / "junit.xml", tmp_path / "host.xml"):
        root = ET.parse(path).getroot()
        [suite] = root.iter("testsuite")
        assert (suite.get("failures"), suite.get("errors")) == ("0", "0"), path
        [known] = [one for one in root.iter("testcase") if "SKR-IDM-01" in (one.get("name") or "")]
        skipped = known.find("skipped")
        assert skipped is not None
        assert "known failure: no store yet" in (skipped.get("message") or "")
    [told] = [one for one in ET.parse(tmp_path / ".sk" / "junit.xml").iter("property")
              if one.get("name") == "sk.known_failure"]  # fmt: skip
    assert told.get("value") == "known failure: no store yet"
