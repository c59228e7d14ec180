"""docs/reliability.md names tests that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"


def test_every_promise_names_tests_that_exist() -> None:
    """Each test in the table is a test function of the file beside it."""
    named = re.findall(r"`(test_\w+)` \(([\w/]+\.py)\)", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 100
    for name, file in named:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), name


def test_the_table_lists_the_promises() -> None:
    """Making the table anew, with the figures that it shows, changes nothing."""
    script = ROOT / "scripts" / "reliability_table.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or "run `python scripts/reliability_table.py --names`"
