"""docs/error-codes.md names every code of the product, with the way out, and no other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import spec_kitty_sync
from spec_kitty_sync._http import Reply
from spec_kitty_sync.delivery.answers import Fatal, read_answer
from spec_kitty_sync.errors import CredentialError, OfflineError, TargetUrlError, TlsError

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(spec_kitty_sync.__file__).parent


def listed(section: str) -> set[str]:
    """Return the codes in the first column of the table under *section*."""
    text = (ROOT / "docs" / "error-codes.md").read_text(encoding="utf-8")
    body = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*`) \|", body, flags=re.M)
    return {code for cell in cells for code in re.findall(r"`([a-z_…]+)`", cell)}


def literals(position: int, *functions: str) -> Iterator[str]:
    """Yield the codes that the source hands to *functions*; what is computed ends in `…`."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id not in functions or len(node.args) <= position:
                continue
            code = node.args[position]
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                yield code.value
            elif isinstance(code, ast.JoinedStr):
                yield f"{code.values[0].value}…"


def test_the_made_tables_are_current() -> None:
    """The tables that come from the code are what the code says today."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_code_tables.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_stop_is_listed() -> None:
    """Each code with which a drain may stop has its row."""
    before = {each.code for each in (OfflineError, TlsError, CredentialError, TargetUrlError)}
    answers = [read_answer(Reply(status), ["id"], now_ms=0) for status in range(201, 500)]
    final = {each.code for each in answers if isinstance(each, Fatal)}
    assert listed("A drain stops") == {*final, *literals(0, "Stop"), *before}


def test_every_attention_is_listed() -> None:
    """Each thing that `sync status --check` may point at has its row."""
    shown = listed("Attention")
    words = set()
    for code in literals(0, "Attention"):
        known = {each for each in shown if each.startswith(code.rstrip("…"))}
        assert known, code
        words |= known
    assert shown == words


def test_every_problem_of_a_source_is_listed() -> None:
    """Each reason for which a source is not read has its row, and no other has one."""
    known = {*literals(1, "source_error"), *literals(0, "Problem")}
    assert listed("A source cannot be read") == known
