"""docs/architecture.md draws the arrows that the imports have."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import spec_kitty_sync

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(spec_kitty_sync.__file__).parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}


def allowed() -> dict[str, set[str]]:
    """Return what each package may import of the others, as the page's table says."""
    table = PAGE.split("## Arrows")[1].split("\n\n")[1]
    found: dict[str, set[str]] = {}
    for left, right in re.findall(r"^\| (`.*?) \| (.*) \|$", table, flags=re.M):
        named = set(re.findall(r"`(\w+)`", right)) & PACKAGES
        for package in re.findall(r"`(\w+)`", left):
            found[package] = PACKAGES if right == "everything" else named
    return found


def imported(path: Path) -> set[str]:
    """Return the packages of ours that the file at *path* imports, those for types too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name.split(".")[1] for name in names if name.startswith("spec_kitty_sync.")}
    return ours & PACKAGES


def test_every_package_has_its_arrows() -> None:
    """The table names each package once, and the layout names it too."""
    assert set(allowed()) == PACKAGES
    layout = PAGE.split("```text\n")[1].split("```")[0]
    assert {name for name in PACKAGES if f"{name}/" not in layout} == set()


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_imports_follow_the_arrows(package: str) -> None:
    """A package imports only what the page allows it."""
    found = set().union(*map(imported, (SOURCE / package).rglob("*.py"))) - {package}
    assert found <= allowed()[package]


def test_layers_of_the_linter_are_those_of_the_page() -> None:
    """What import-linter forbids is what the page does not allow."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    arrows = allowed()
    forbidden: dict[str, set[str]] = {name: set() for name in PACKAGES}
    for contract in config["tool"]["importlinter"]["contracts"]:
        names = {
            key: {module.split(".")[1] for module in contract.get(key, ())}
            for key in ("source_modules", "forbidden_modules", "modules")
        }
        for source in names["source_modules"]:
            forbidden[source] |= names["forbidden_modules"] & PACKAGES
        for source in names["modules"]:
            forbidden[source] |= names["modules"] - {source}
    for package, allows in arrows.items():
        if allows != PACKAGES:
            assert PACKAGES - allows - {package} == forbidden[package], package
