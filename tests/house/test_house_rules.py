"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spec_kitty_sync

SOURCE = Path(spec_kitty_sync.__file__).parent
FILES = sorted(p for p in SOURCE.rglob("*.py") if "_shared" not in p.parts)
ONE_IMPORTER = {
    "httpx": {"_http.py", "conformance/client.py"},
}


def _relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _imports(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=_relative)
def test_source_file_keeps_to_the_sizes(path):
    """No file is longer than 400 lines and no function longer than 60."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


@pytest.mark.parametrize("path", FILES, ids=_relative)
def test_source_file_has_a_docstring_and_no_ticket_numbers(path):
    """Every module says what it is; issue and requirement numbers stay out of the source."""
    text = path.read_text(encoding="utf-8")
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert not re.search(r"(?:[\s(]#\d{3,}\b|\b(?:FR|NFR|IC|SC)-\d{2,})", text)


@pytest.mark.parametrize("path", FILES, ids=_relative)
def test_source_file_catches_no_bare_exception(path):
    """Nobody catches everything: errors are named."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
            assert not (isinstance(node.type, ast.Name) and node.type.id == "Exception")


def test_httpx_enters_through_one_module_each():
    """The runtime imports httpx in `_http.py` alone; the kit has one client of its own."""
    users = {
        _relative(path)
        for path in FILES
        if "httpx" in _imports(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert users <= ONE_IMPORTER["httpx"]


def test_contract_reads_no_file_clock_or_environment():
    """`events/` is pure: it imports nothing that reads a file, socket, clock or environment."""
    impure = {"os", "io", "pathlib", "socket", "time", "subprocess", "random", "secrets", "sqlite3"}
    for path in FILES:
        if _relative(path).startswith("events/"):
            found = _imports(ast.parse(path.read_text(encoding="utf-8"))) & impure
            assert not found, f"{_relative(path)} imports {found}"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["sync", "--help"]])
def test_light_commands_import_nothing_heavy(arguments):
    """`--version` and `--help` load neither httpx, pydantic, rich, jsonschema nor sqlite3."""
    code = (
        "import sys\n"
        "from spec_kitty_sync.cli.main import run\n"
        "try: run(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'httpx','pydantic','rich','jsonschema','sqlite3','ulid','starlette','pytest'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
