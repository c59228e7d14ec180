"""What a command loads before it works: counted, because wall time says nothing here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "asyncio", "email", "http", "httpcore", "httpx", "hypothesis", "jsonschema", "pydantic",
    "pytest", "rich", "ruamel", "ssl", "starlette", "tomlkit", "ulid", "unittest", "websockets",
}  # fmt: skip
_LOADED = """
import json, sys
from spec_kitty_sync.cli.main import run
try:
    run(json.loads(sys.argv[1]))
except SystemExit as done:
    print("\\n" + json.dumps([done.code, sorted(sys.modules)]))
"""
_FLOOR = "import click, json, sqlite3, sys; print(json.dumps([0, sorted(sys.modules)]))"
CREATED = '{"wp_id": "WP01", "title": "One", "dependencies": [], "feature_slug": "001-demo"}'

# arguments, modules above the floor (python, click, sqlite3, json) at most, heavy ones it may load
BUDGETS = (
    (("--version",), 25, set()),
    (("--help",), 35, set()),
    (("sync", "--help"), 35, set()),
    (("sync", "status"), 105, set()),
    (("emit", "WPCreated", "--json", "-"), 310, {"pydantic", "ruamel", "ulid", "email"}),
)


def loaded(code: str, *args: str, home: Path) -> set[str]:
    """Return the modules of a new Python after it ran *code*; it has to end well."""
    environ = {**os.environ, "SPEC_KITTY_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=home, env=environ, input=CREATED,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    exit_code, modules = json.loads(done.stdout.splitlines()[-1])
    assert exit_code in (0, 1), done.stderr
    return set(modules)


def over(modules: set[str], floor: set[str], *, most: int, allowed: set[str]) -> list[str]:
    """Return the heavy modules that may not be there, and all that are new if they are too many."""
    new = modules - floor
    heavy = {name.partition(".")[0] for name in new} & (HEAVY - allowed)
    return sorted(heavy) + (sorted(new) if len(new) > most else [])


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return loaded(_FLOOR, home=tmp_path_factory.mktemp("floor"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one event and a project around it."""
    (tmp_path / ".kittify").mkdir()
    loaded(_LOADED, json.dumps(BUDGETS[-1][0]), home=tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("args", "most", "allowed"), BUDGETS, ids=[" ".join(each[0]) for each in BUDGETS]
)
def test_command_loads_no_more_than_its_budget(home, floor, args, most, allowed):
    """A command loads what it needs; whoever adds to that is named here."""
    modules = loaded(_LOADED, json.dumps(args), home=home)
    assert over(modules, floor, most=most, allowed=allowed) == []


def test_status_of_a_home_with_old_queues_loads_a_few_readers_more(home, floor):
    """Looking into legacy queues needs no heavy library."""
    queues = ROOT / "fixtures" / "queues" / "natural-2.1.3" / "queues"
    shutil.copytree(queues, home / "queues")
    modules = loaded(_LOADED, json.dumps(["sync", "status"]), home=home)
    assert "spec_kitty_sync.sync.legacy_rows" in modules
    assert over(modules, floor, most=135, allowed=set()) == []


def test_budget_names_the_offenders():
    """A heavy module and a crowd of small ones are both named."""
    assert over({"rich.table"}, set(), most=9, allowed=set()) == ["rich"]
    assert over({"rich"}, set(), most=9, allowed={"rich"}) == []
    assert over({"a", "b"}, {"b"}, most=0, allowed=set()) == ["a"]
