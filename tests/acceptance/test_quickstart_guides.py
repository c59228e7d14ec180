"""What a newcomer copies from the README and the quickstarts works, and prints what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from guide import environment, play, read_guide

ROOT = Path(__file__).resolve().parents[2]
SET_UP = {
    "make demo    # imports a real old queue, delivers it to a local receiver, proves the receiver":
        "makes a virtualenv; the commands of the demo are those of test_whole_path",
    "make test    # lint, types, layers and all tests": "is what runs this test",
    "pip install '.[conformance,receiver]'": "test_wheel installs the package",
}  # fmt: skip


@pytest.mark.parametrize("page", ["operator", "receiver", "producer"])
def test_a_quickstart_does_what_it_says(page: str, tmp_path: Path) -> None:
    """Each command of the quickstart ends and prints as the page says."""
    guide = read_guide(ROOT / "docs" / f"quickstart-{page}.md")
    assert len([step for step in guide.steps if step.shown]) >= 5
    play(guide, tmp_path, environment(tmp_path))


def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    """Each command of the README ends with 0, but for the ones that set things up."""
    guide = read_guide(ROOT / "README.md")
    shown = {step.command for step in guide.steps}
    assert shown >= SET_UP.keys()
    guide.steps = [step for step in guide.steps if step.command not in SET_UP]
    play(guide, tmp_path, environment(tmp_path))
