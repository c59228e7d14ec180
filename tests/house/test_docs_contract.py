"""docs/contract: the text, what checks quote of it, and the pages that are made from the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import jsonschema
import pytest
from referencing import Registry, Resource

from spec_kitty_sync.conformance.catalogue import catalogue_path, load_catalogue
from spec_kitty_sync.events import Validator, default_registry

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "docs" / "contract"
SCHEMAS = ROOT / "schemas"
REQUIREMENTS = [
    requirement
    for kind in ("receiver", "producer", "migration")
    for requirement in load_catalogue(catalogue_path(kind=kind)).requirements
]
_HEADED_BLOCK = re.compile(r"^(#+) (.*?)$|^```json\n(.*?)^```$", re.M | re.S)


def test_the_reference_is_current() -> None:
    """The generated pages are what the models, schemas and catalogues say today."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_contract_reference.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@cache
def sections() -> dict[str, str]:
    """Return the text of each section by its number, in one line, and its table rows as prose."""
    text = (CONTRACT / "1.0.md").read_text(encoding="utf-8").replace("**", "")
    found = {}
    for number, body in re.findall(r"^## (\d)\. .*?\n(.*?)(?=^## |\Z)", text, flags=re.M | re.S):
        prose = [body]
        for row in re.findall(r"^\| (.*) \|$", body, flags=re.M):
            first, *others = row.split(" | ")
            prose += [": ".join([first, *others]), *[f"{first}: {cell}" for cell in others]]
        found[number] = re.sub(r"\s+", " ", "\n".join(prose))
    return found


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda each: each.id)
def test_a_quoted_sentence_stands_in_the_contract(requirement) -> None:
    """What a requirement quotes stands word for word in the section that it names."""
    section = sections()[requirement.clause.removeprefix("CONTRACT ")]
    for part in requirement.sentence.split("[…]"):
        words = re.sub(r"\s+", " ", part).strip()
        assert words in section, words


def examples(page: str) -> list[tuple[str, str, object]]:
    """Return (heading, sub-heading, value) of each JSON block of *page*."""
    found, heads = [], ["", "", "", ""]
    for marks, title, body in _HEADED_BLOCK.findall((CONTRACT / page).read_text(encoding="utf-8")):
        if marks:
            heads[len(marks) :] = [title, "", ""]
        else:
            found.append((heads[2], heads[3], json.loads(body)))
    return found


def test_examples_of_events_are_valid() -> None:
    """Each example of an event type is valid without a warning, and of the shape it shows."""
    validator = Validator(default_registry())
    (_, _, envelope), *payloads = examples("events.md")
    assert validator.validate(json.dumps(envelope).encode()).findings == ()
    core = {each.name: each for each in default_registry() if each.pack == "core"}
    assert {name for name, _, _ in payloads} == set(core)
    for name, shape, payload in payloads:
        event = {
            **envelope, "event_type": name, "payload": payload,
            "aggregate_type": core[name].aggregate_types[0],
        }  # fmt: skip
        assert validator.validate(json.dumps(event).encode()).findings == (), name
        if shape:
            assert core[name].shape_of(payload).name == shape.removeprefix("Shape ")


def test_examples_of_the_wire_are_valid() -> None:
    """Each request and answer meets the schema of its kind."""
    contents = [json.loads(path.read_text()) for path in SCHEMAS.rglob("*.schema.json")]
    registry = Registry().with_resources(
        [(each["$id"], Resource.from_contents(each)) for each in contents]
    )
    names = {"Batch request": "batch-request", "Batch response": "batch-response",
             "Error response": "error-response", "Health": "health"}  # fmt: skip
    shown = examples("wire.md")
    assert {name for name, _, _ in shown} == set(names)
    for name, _, value in shown:
        path = SCHEMAS / f"{names[name]}.schema.json"
        schema = json.loads(path.read_text())
        jsonschema.Draft202012Validator(schema, registry=registry).validate(value)
