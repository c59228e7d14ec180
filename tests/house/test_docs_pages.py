"""What the pages link to, show and name exists: links, blocks, commands, options, codes."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from command_line import every_option, refuse_unknown
from ruamel.yaml import YAML

from spec_kitty_sync.cli.main import Commands
from spec_kitty_sync.conformance.catalogue import catalogue_path, load_catalogue
from spec_kitty_sync.events import Validator, default_registry

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "schemas/*.md", "fixtures/**/*.md")
    for path in ROOT.glob(pattern)
)
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_CHECK = re.compile(r"\bSK[RPM]-[A-Z]{3}(?:-[0-9]{2})?\b")
# Options of other programs that the pages name.
_FOREIGN = {"-w", "-n", "-i", "--data-binary", "--reruns", "--group"}

every_page = pytest.mark.parametrize("page", PAGES)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """Return the page without its fenced blocks."""
    return _FENCE.sub("", read(page))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.*?) *$", text, flags=re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(name if name not in found else f"{name}-1")
    return found


@every_page
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    """Each relative link names a file of the repository, each anchor one of its headings."""
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page}: {link}"


def test_every_page_of_the_docs_is_reached_from_the_readme() -> None:
    """A reader who follows links from the README comes to every page and picture."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        if here.suffix == ".md":
            links = (link.partition("#")[0] for link in _LINK.findall(here.read_text("utf-8")))
            waiting += [
                (here.parent / unquote(link)).resolve() for link in links if ":" not in link
            ]
    pages = {path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".png", ".svg")}
    unlinked = sorted(path.name for path in pages - seen)
    assert unlinked == [], "link it from docs/README.md or from the page it belongs to"


def blocks() -> Iterator[tuple[str, str, str]]:
    """Yield (page, language, content) of every fenced block."""
    for page in PAGES:
        for indent, language, content in _FENCE.findall(read(page)):
            yield page, language, re.sub(rf"^{indent}", "", content, flags=re.M)


def test_blocks_parse() -> None:
    """JSON, Python, TOML and YAML blocks are what they say they are."""
    parsers = {"json": json.loads, "python": ast.parse, "toml": tomllib.loads,
               "yaml": YAML(typ="safe").load}  # fmt: skip
    count = 0
    for page, language, content in blocks():
        if parse := parsers.get(language):
            try:
                parse(content)
            except Exception as exc:
                raise AssertionError(f"{page}: {exc}\n{content}") from exc
            count += 1
    assert count > 40


def test_every_block_says_its_language() -> None:
    """No fenced block is without a language that a reader's editor knows."""
    known = {"sh", "console", "json", "python", "toml", "yaml", "http", "text", "javascript"}
    wrong = [(page, language) for page, language, _ in blocks() if language not in known]
    assert wrong == []


def events_in(value: object) -> Iterator[dict[str, object]]:
    """Yield every event inside *value*."""
    if isinstance(value, dict):
        if "event_id" in value and "payload" in value:
            yield value
        for each in value.values():
            yield from events_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from events_in(each)


def test_events_in_the_pages_are_valid() -> None:
    """Each event that a page shows as JSON is valid."""
    validator = Validator(default_registry())
    shown = 0
    for page, language, content in blocks():
        for event in events_in(json.loads(content)) if language == "json" else ():
            shown += 1
            findings = validator.validate(json.dumps(event).encode()).findings
            assert findings == (), f"{page}: {findings}"
    assert shown >= 3


def commands_in(page: str) -> Iterator[str]:
    """Yield every `spec-kitty …` that the page names, in prose or in blocks."""
    groups = tuple(f"{name} " for name in Commands.TOP)
    for code in _CODE.findall(prose(page)):
        if code.startswith("spec-kitty "):
            yield code
        elif code.startswith(groups):
            yield f"spec-kitty {code}"
    text = re.sub(r"\\\n\s*", " ", read(page))
    yield from re.findall(r"^(?: *(?:- )?(?:run: )?|\$ )(spec-kitty .*)$", text, flags=re.M)


def checkable(command: str) -> str:
    """Return *command* up to its first pipe, redirection or comment."""
    cut = re.split(r"\s+#|\s[|>&<]|\s\|\||;|\s{2,}|\)$", command)[0]
    return cut.replace("add|list|remove", "add").replace("…", "")


@every_page
def test_commands_of_a_page_exist(page: str) -> None:
    """Each command that a page names is one of the command line, with options that it has."""
    for command in commands_in(page):
        refuse_unknown(checkable(command))


@every_page
def test_options_of_a_page_exist(page: str) -> None:
    """Each option that stands alone in a sentence is one that some command has."""
    known = every_option() | _FOREIGN
    for code in _CODE.findall(prose(page)):
        if re.match(r"--?[a-z]", code) and not code.startswith("--sk"):
            words = [word.partition("=")[0] for word in shlex.split(code) if word[0] == "-"]
            assert [word for word in words if word not in known] == [], f"{page}: `{code}`"


@every_page
def test_checks_of_a_page_exist(page: str) -> None:
    """Each check that a page names is a requirement, or a family of them."""
    ids = {
        requirement.id
        for kind in ("receiver", "producer", "migration")
        for requirement in load_catalogue(catalogue_path(kind=kind)).requirements
    }
    families = {each[:7] for each in ids}
    assert set(_CHECK.findall(read(page))) - ids - families == set()


@every_page
def test_exit_codes_of_a_page_exist(page: str) -> None:
    """A page names only exit codes of the contract's list."""
    section = read("docs/contract/1.0.md").split("## 8. ")[1]
    known = re.findall(r"(?:^|[·,/] ?)(\d+)", section, flags=re.M)
    named = re.findall(r"(?:exit codes? |ends? with )`?(\d+)\b", prose(page))
    assert set(named) <= set(known)


def test_score_in_the_readme_is_the_score() -> None:
    """What the README says of the receivers' suite is what its matrix says."""
    (killed, of) = re.findall(r"score: (\d+) of (\d+)", read("docs/conformance-mutants.md"))[0]
    assert f"[{killed} of {of} faults](docs/conformance-mutants.md)" in read("README.md")
