"""Write the table of docs/reliability.md: promises, the tests that show them, their last figures.

python scripts/reliability_table.py FIGURES_FOLDER      figures of `make proof`
python scripts/reliability_table.py --names             keep the figures, renew the names
python scripts/reliability_table.py --check             the same, but only say whether it differs

The promises stand in tests/faults/promises.toml, the figures in JSON lines that the tests write
into the folder that SK_FAULT_FIGURES names.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
PROMISES = ROOT / "tests" / "faults" / "promises.toml"
_TABLE = re.compile(r"(<!-- table -->\n).*(<!-- end -->)", re.S)
_COUNTS = ("points", "faults", "losses")
_ROW = re.compile(r"\| .*? \| `(\w+)`.*? \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.M)


def promises() -> dict[str, list[dict[str, Any]]]:
    """Return section → rows, each with `promise` and `tests`."""
    return tomllib.loads(PROMISES.read_text(encoding="utf-8"))


@cache
def test_files() -> dict[str, Path]:
    """Return the file of each test function, by its name."""
    return {
        node.name: path
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def read_figures(folder: Path) -> dict[str, dict[str, float]]:
    """Return the summed counts of each test function; its cases and promises are added up."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            name = one["test"].rpartition("::")[2].partition("[")[0]
            found[name]["faults"] += one.get("kills", 0) + one.get("faults", 0)
            for count in ("points", "losses", "seconds"):
                found[name][count] += one.get(count, 0)
    return found


def kept_figures() -> dict[str, list[str]]:
    """Return the figures that the page shows now, by the first test of each row."""
    return {row[0]: list(row[1:]) for row in _ROW.findall(PAGE.read_text(encoding="utf-8"))}


def table(figures: Mapping[str, Mapping[str, float]], kept: Mapping[str, list[str]]) -> str:
    """Return the page's table in Markdown."""
    return "\n".join(_lines(figures, kept, test_files())) + "\n"


def _lines(
    figures: Mapping[str, Mapping[str, float]],
    kept: Mapping[str, list[str]],
    files: Mapping[str, Path],
) -> Iterator[str]:
    for section, rows in promises().items():
        yield f"\n### {section}\n"
        yield "| promise | tests | points | faults | losses | seconds |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for row in rows:
            places = {name: files[name].relative_to(ROOT / "tests") for name in row["tests"]}
            names = [f"`{name}` ({place})" for name, place in places.items()]
            counted = _counted(row["tests"], figures) or kept.get(row["tests"][0], [""] * 4)
            cells = (row["promise"], ", ".join(names), *counted)
            yield "| " + " | ".join(cells) + " |"


def _counted(names: list[str], figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the figures of the first test that has any: the whole run stands first."""
    for name in names:
        if name in figures:
            counts = [f"{int(figures[name][count]):,}" for count in _COUNTS]
            return [*counts, f"{figures[name]['seconds']:.0f}"]
    return []


def main() -> int:
    """Write the page; 1 where a test that is named does not exist."""
    unknown = [
        name
        for rows in promises().values()
        for row in rows
        for name in row["tests"]
        if name not in test_files()
    ]
    if unknown:
        sys.stderr.write(f"there is no test {', '.join(unknown)}\n")
        return 1
    chosen = sys.argv[1]
    figures = {} if chosen.startswith("--") else read_figures(Path(chosen))
    made = table(figures, kept_figures())
    before = PAGE.read_text(encoding="utf-8")
    after = _TABLE.sub(lambda m: m[1] + made + m[2], before)
    if chosen != "--check":
        PAGE.write_text(after, encoding="utf-8")
    return int(chosen == "--check" and after != before)


if __name__ == "__main__":
    sys.exit(main())
