"""The corpus is enough: a short runner in another language reaches the kit's verdict."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.catalogue import load_catalogue
from spec_kitty_sync.conformance.corpus import corpus
from spec_kitty_sync.conformance.mutants import FAULTS, load_mutants, meet
from spec_kitty_sync.conformance.reference import TOKENS, reference_receiver

RUNNER = Path(__file__).resolve().parents[2] / "docs" / "run_corpus.mjs"
MUTANTS = ("forgets-ids", "takes-any-lane", "all-or-nothing", "answers-201", "takes-any-token")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="missing tool: node")


def run_corpus(url: str) -> subprocess.CompletedProcess[str]:
    """Run the corpus with the runner that the docs show."""
    cases = shared_path("fixtures", "receiver", "cases.json")
    command = ["node", str(RUNNER), str(cases), url, TOKENS.own]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_committed_corpus_is_what_the_checks_are_made_of() -> None:
    """`fixtures/receiver/cases.json` is written from the tables of the suite."""
    committed = json.loads(shared_path("fixtures", "receiver", "cases.json").read_text())
    assert committed == json.loads(json.dumps(corpus())), "run scripts/export_corpus.py"


def test_every_case_names_a_requirement() -> None:
    """Case ids are unique, and each belongs to a row of the catalogue."""
    cases = corpus()["cases"]
    ids = [case["id"] for case in cases]
    assert len(set(ids)) == len(ids)
    rows = {row.id for row in load_catalogue().requirements}
    assert {case["requirement"] for case in cases} <= rows


def test_runner_of_the_docs_is_forty_lines() -> None:
    """What the docs promise is short."""
    assert len(RUNNER.read_text().splitlines()) <= 40


@needs_node
def test_other_language_finds_the_healthy_receiver_conformant() -> None:
    """The reference receiver passes the whole corpus."""
    with reference_receiver() as url:
        done = run_corpus(url)
    assert done.returncode == 0, done.stdout
    assert "cases; conformant" in done.stdout


@needs_node
@pytest.mark.parametrize("name", MUTANTS)
def test_other_language_reaches_the_verdict_of_the_kit(name: str) -> None:
    """A receiver that the kit calls not conformant is called so by the corpus alone."""
    mutant = next(one for one in load_mutants() if one.name == name)
    assert meet(mutant, mutant.killers).is_killed
    with reference_receiver(alter=FAULTS[name].apply) as url:
        done = run_corpus(url)
    assert done.returncode == 1
    assert "not conformant" in done.stdout
