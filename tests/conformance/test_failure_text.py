"""A finding says enough to name the bug, and its commands repeat it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from spec_kitty_sync.conformance.builder import Namespace
from spec_kitty_sync.conformance.capsule import write_capsule
from spec_kitty_sync.conformance.catalogue import load_catalogue
from spec_kitty_sync.conformance.failure_text import render
from spec_kitty_sync.conformance.mutants import FAULTS, load_mutants, meet
from spec_kitty_sync.conformance.outcome import CheckResult
from spec_kitty_sync.conformance.reference import TOKENS, reference_receiver

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="missing tool: curl")


def finding_of(mutant_name: str) -> CheckResult:
    """Return the first finding of the mutant's named killers."""
    mutant = next(one for one in load_mutants() if one.name == mutant_name)
    return next(one for one in meet(mutant, mutant.killers).results if one.finding)


def text_of(result: CheckResult) -> str:
    """Return the text of a finding on one line, as words."""
    return " ".join(render(load_catalogue()[result.check_id], result).split())


def test_finding_tells_which_edit_brings_a_batch_down() -> None:
    """Where the whole batch fails, each event is sent alone, and the text says how it ended."""
    text = text_of(finding_of("crashes-on-missing-payload"))
    assert "neighbours alone: 200 [success]: the valid event; 500: payload = null" in text


def test_finding_tells_what_the_other_edits_became() -> None:
    """One wrong value is told apart from no check at all by the other values of the field."""
    assert 'neighbours success: payload.wp_id = "WP1", payload.wp_id = "wp01"' in text_of(
        finding_of("takes-any-wp")
    )


def test_finding_tells_how_the_other_cases_ended() -> None:
    """The cases of a check beside each other show the pattern of a fault."""
    text = text_of(finding_of("drops-last-result"))
    assert "failed (2 results, none for number 3 of 3): [three]" in text


def test_first_finding_tells_what_the_receiver_stumbles_over() -> None:
    """A receiver that takes nothing at all learns in which form it would have taken the event."""
    text = text_of(finding_of("refuses-unknown-headers"))
    assert "200 [success]: without X-Spec-Kitty-Sync-Protocol" in text


@needs_curl
def test_printed_curl_command_repeats_the_finding(tmp_path: Path) -> None:
    """Every header that mattered is in the command: run as printed, it gets the same answer."""
    name = "refuses-traceparent"
    result = finding_of(name)
    requirement = load_catalogue()[result.check_id]
    write_capsule(tmp_path, requirement, result, Namespace("again", 1), "http://127.0.0.1:1")
    with reference_receiver(alter=FAULTS[name].apply) as url:
        printed = re.sub(r"\n {15}", " ", render(requirement, result, tmp_path, url))
        command = re.search(r"replay +(curl .*)", printed)
        assert command is not None
        done = subprocess.run(
            ["sh", "-c", command[1]],
            env={"PATH": "/usr/bin:/bin", "SK_TOKEN": TOKENS.own},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert done.stdout.startswith("HTTP/1.1 400")
    assert '{"error":' in done.stdout.replace(" ", "")
