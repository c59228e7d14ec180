"""The rules of the house that no linter knows, and proof that each of them can be broken."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import source_rules
from source_rules import Rule

import spec_kitty_sync
from spec_kitty_sync._extras import EXTRAS
from spec_kitty_sync.sync import EventEmitter

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(spec_kitty_sync.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted(p for p in (ROOT / "tests").rglob("*.py") if p.parent.name != "house")
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CONTRACT = (ROOT / "docs" / "contract" / "1.0.md").read_text(encoding="utf-8")
PUBLIC = ("events", "identity", "auth", "sync", "delivery", "diagnose", "event_journal")
_A_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_LONG = "x = 1\n" * 401
_DEEP = "def f(a):\n" + "".join(f"    if a == {n}:\n        return {n}\n" for n in range(12))
PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (source_rules.sizes, "a.py", _LONG),
    (source_rules.sizes, "a.py", "def f():\n" + "    pass\n" * 61),
    (source_rules.parameters, "a.py", "def f(a, b, c, d, e, f): ..."),
    (source_rules.docstring, "a.py", "x = 1\n"),
    (source_rules.tickets, "a.py", "# see #1234\n"),
    (source_rules.tickets, "a.py", "# FR-012\n"),
    (source_rules.excepts, "a.py", "try: f()\nexcept Exception: pass\n"),
    (source_rules.excepts, "a.py", "try: f()\nexcept (OSError, BaseException): pass\n"),
    (source_rules.excepts, "a.py", "try: f()\nexcept: pass\n"),
    (source_rules.prints, "api/a.py", "print(1)\n"),
    (source_rules.importers, "delivery/a.py", "import httpx\n"),
    (source_rules.importers, "delivery/a.py", "def f():\n    from rich.table import Table\n"),
    (source_rules.purity, "events/a.py", "from pathlib import Path\n"),
    (source_rules.machine_paths, "a.py", '"/root/' 'clone/a.py"'),
    (source_rules.hosts, "a.py", '"https://' 'api.spec-kitty.com/x"'),
    (source_rules.hosts, "a.py", '"http://' '8.8.8.8:80"'),
    (source_rules.skips, "test_a.py", "import pytest\npytest.skip('no node here')\n"),
    (source_rules.skips, "test_a.py", "import pytest\n@pytest.mark.skip\ndef f(): ...\n"),
)  # fmt: skip
LINTED = {
    "T201": "print(1)\n",
    "BLE001": "try:\n    f()\nexcept Exception:\n    pass\n",
    "C901": _DEEP,
    "S608": 'def f(a):\n    return f"SELECT * FROM t WHERE x = {a}"\n',
}
# Skipped for what the machine is, not for what could be installed on it.
OF_THE_MACHINE = {
    "'needs a pseudo-terminal'", "'this pytest names the item differently'",
    "'counts its files in /proc'", "'this machine has no address but loopback'",
    '"needs Linux\'s file of random ids"',
}  # fmt: skip


def below(path: Path) -> str:
    base = SOURCE if SOURCE in path.parents else ROOT / "tests"
    return path.relative_to(base).as_posix()


@pytest.mark.parametrize("path", FILES, ids=below)
def test_source_file_keeps_the_rules(path: Path) -> None:
    """Sizes, docstrings, named errors, importers, purity: no file is an exception."""
    text = path.read_text(encoding="utf-8")
    broken = {rule.__name__: rule(below(path), text) for rule in source_rules.SOURCE}
    assert not {name: found for name, found in broken.items() if found}


@pytest.mark.parametrize("path", TESTS, ids=below)
def test_test_file_keeps_the_rules(path: Path) -> None:
    """Tests name no foreign host and no machine, and say what a skipped one misses."""
    text = path.read_text(encoding="utf-8")
    broken = {rule.__name__: set(rule(below(path), text)) for rule in source_rules.TESTS}
    broken["skips"] -= OF_THE_MACHINE
    assert not {name: found for name, found in broken.items() if found}


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_rule_finds_what_breaks_it(rule: Rule, path: str, text: str) -> None:
    """A rule that cannot fail protects nothing."""
    assert rule(path, text)


@pytest.mark.parametrize("code", LINTED)
def test_linter_finds_what_breaks_it(code: str) -> None:
    """Prints, broad excepts, complexity and SQL from pieces are the linter's: it is set to see."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format=concise",
         "--stdin-filename", "src/spec_kitty_sync/sync/planted.py", "-"],
        cwd=ROOT, input=LINTED[code], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert code in done.stdout


def test_names_of_the_contract_are_exported() -> None:
    """Each class, function and constant that section 7 opens an entry with can be imported."""
    packages = [importlib.import_module(f"spec_kitty_sync.{name}") for name in PUBLIC]
    exported = {name for package in packages for name in getattr(package, "__all__", ())}
    section = CONTRACT.split("## 7.")[1].split("**Operator**")[0]
    entries = re.findall(rf"^- `({_A_WORD})", section, re.MULTILINE)
    entries += re.findall(rf"· `({_A_WORD})(?=[`({{ ])", section)
    fixed = {name for name in entries if name[0].isupper() or "(" in section.split(name)[1][:1]}
    assert len(fixed) > 30
    # What is written with small letters may be a method of the emitter.
    assert fixed - exported - set(dir(EventEmitter)) == set()


def test_layers_are_checked_for_every_package() -> None:
    """A package that no import contract names would be free to import anything."""
    config = tomllib.loads(PROJECT)["tool"]["importlinter"]
    named = set(re.findall(r"spec_kitty_sync\.(\w+)", json.dumps(config["contracts"])))
    packages = {p.parent.name for p in SOURCE.glob("*/__init__.py")}
    assert packages <= named


def test_every_dependency_says_why() -> None:
    """Each requirement in pyproject.toml has its reason beside it, and no upper bound without."""
    lines = re.findall(r'^ +"[A-Za-z][\w.\[\]-]*[^"]*",?.*$', _requirements(PROJECT), re.MULTILINE)
    assert len(lines) > 25
    assert unexplained(lines) == []
    assert unexplained(['    "requests>=2",']) == ['    "requests>=2",']


def unexplained(lines: list[str]) -> list[str]:
    return [line for line in lines if not re.search(r"#\s+\S", line)]


def _requirements(text: str) -> str:
    """Return the parts of pyproject.toml that list packages."""
    start, end = text.index("dependencies = ["), text.index("[project.scripts]")
    return text[start:end]


def test_nothing_has_an_upper_bound() -> None:
    """A bound above would break who installs it beside something newer; none has a reason yet."""
    assert not re.findall(r'"[^";]*(?:<|~=|==)[^"]*"', _requirements(PROJECT))


def test_extras_of_the_code_are_those_of_the_project() -> None:
    """What a missing extra is said to bring is what it brings."""
    declared = tomllib.loads(PROJECT)["project"]["optional-dependencies"]
    named = {
        extra: {re.split(r"[\[>]", line)[0].replace("-", "_") for line in lines}
        for extra, lines in declared.items()
    }
    assert {extra: set(modules) for extra, modules in EXTRAS.items()} == named


def test_third_party_imports_are_declared() -> None:
    """The source imports nothing that comes to it only by luck."""
    project = tomllib.loads(PROJECT)["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for each in extras for line in each)]
    declared = {re.split(r"[\[>]", line)[0].replace("-", "_").lower() for line in lines}
    declared |= {"ulid", "ruamel", "spec_kitty_sync"}
    declared |= {"pydantic_core", "typing_extensions"}  # pydantic is built on them
    declared |= {"h11"}  # and uvicorn on that
    declared |= {"werkzeug"}  # what pytest-httpserver's requests are
    known = declared | sys.stdlib_module_names
    for path in FILES:
        foreign = source_rules.imports(path.read_text(encoding="utf-8")) - known
        assert not foreign, f"{below(path)} imports {foreign}"


def test_repository_pins_no_registry_and_no_machine() -> None:
    """No lock file and no address of a package index: an install takes what its user trusts."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    locks = ("uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "requirements.txt", "pip.conf")
    assert not [name for name in tracked if name.endswith(locks)]
    for name in ("pyproject.toml", "Makefile", ".ci/run", "README.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"pypi\.org|index-url|find-links|files\.pythonhosted", text), name


@pytest.mark.parametrize("host", ["192.0.2.1", "128.0.0.1"])
@pytest.mark.parametrize("is_child", [False, True])
def test_no_test_reaches_another_machine(host: str, is_child: bool) -> None:
    """A connection to anywhere but this machine fails the test, in its children too."""
    code = f"import socket\nwith socket.socket() as it: it.connect(({host!r}, 9))"
    if is_child:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert f"a test connects to {host!r}" in done.stderr
        return
    with pytest.raises(BaseException, match="only this machine may be reached"):
        exec(code)


@pytest.mark.parametrize(("reason", "code"), [("missing tool: node", 1), ("of the moon", 0)])
def test_run_that_left_tests_out_can_be_refused(tmp_path: Path, reason: str, code: int) -> None:
    """With --refuse-missing-tools a test that was skipped for want of a tool fails the run."""
    (tmp_path / "test_one.py").write_text(
        f"import pytest\n\ndef test_one():\n    pytest.skip({reason!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "missing_tools", "--refuse-missing-tools", "."],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "shared")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    assert ("REFUSED Skipped: missing tool: node" in done.stdout) is bool(code)
