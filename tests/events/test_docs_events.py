"""The pages about events tell the truth: examples run, tables are complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spec_kitty_sync.api.schemas import export_to, schema_files
from spec_kitty_sync.events import Validator, lifecycle, status
from spec_kitty_sync.registry_load import load_registry

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of *language* in *page*."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def codes(section: str) -> dict[str, str]:
    """Return the first two columns of the table under *section* in the page of codes."""
    text = (DOCS / "error-codes.md").read_text(encoding="utf-8").split(f"## {section}\n")[1]
    found = {}
    for row in re.findall(r"^\| (`.*)$", text.split("\n## ")[0], flags=re.M):
        cells = [cell.strip() for cell in row.split(" | ")]
        for code in re.findall(r"`([a-z0-9_]+)`", cells[0]):
            found[code] = cells[1]
    return found


def test_table_of_anomalies_is_complete() -> None:
    """The page lists every anomaly reason, and no other."""
    reasons = {
        getattr(module, name)
        for module in (status, lifecycle)
        for name in dir(module)
        if name.isupper() and isinstance(getattr(module, name), str) and name not in EVENT_TYPES
    }
    assert set(codes("Anomalies")) == reasons


EVENT_TYPES = {
    "MISSION_STARTED",
    "MISSION_COMPLETED",
    "MISSION_CANCELLED",
    "PHASE_ENTERED",
    "REVIEW_ROLLBACK",
    "WP_STATUS_CHANGED",
}


def test_examples_about_events_run() -> None:
    """The examples of the page run in the order they stand there."""
    names: dict[str, Any] = {}
    examples = blocks("events.md", "python")
    assert len(examples) >= 3
    for example in examples:
        exec(compile(example, "docs/events.md", "exec"), names)


def test_schema_folder_example_works(tmp_path: Path) -> None:
    """The schema file of the page registers a type that validates."""
    (schema,) = blocks("extending.md", "json")
    (tmp_path / "Deployed.schema.json").write_text(schema, encoding="utf-8")
    registry = load_registry(schema_dirs=[tmp_path], plugins=False)
    assert registry.get("Deployed").pack == "ops"
    event = json.loads((ROOT / "fixtures/events/valid/WPAssigned.minimal.json").read_bytes())
    event |= {"event_type": "Deployed", "aggregate_type": "Deployment"}
    event["payload"] = {"environment": "staging", "revision": "7a073bf4"}
    validator = Validator(registry)
    assert validator.validate_parsed(event).valid
    event["payload"]["environment"] = "moon"
    (finding,) = validator.validate_parsed(event).findings
    assert (finding.code, finding.path) == ("schema_violation", "/payload/environment")


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"parcel_id": "P1", "carrier": "bike"}, ""),
        ({"parcel_id": "P1", "carrier": "owl"}, "/payload/carrier"),
        ({"carrier": "post"}, "/payload/parcel_id"),
    ],
)
def test_entry_point_example_works(tmp_path: Path, payload: dict[str, str], path: str) -> None:
    """The package of the page, installed, adds a type that validates."""
    (module,) = blocks("extending.md", "python")
    (toml,) = blocks("extending.md", "toml")
    group, line = re.findall(r'"(spec_kitty.*?)"\]\n(.*)', toml)[0]
    (tmp_path / "acme_events.py").write_text(module, encoding="utf-8")
    info = tmp_path / "acme_events-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: acme-events\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        f"[{group}]\n{line}\n".replace('"', ""), encoding="utf-8"
    )
    event = json.loads((ROOT / "fixtures/events/valid/PhaseEntered.minimal.json").read_bytes())
    event |= {"event_type": "Shipped", "payload": payload}
    program = (
        "import json, sys\n"
        "from spec_kitty_sync.events import Validator\n"
        "from spec_kitty_sync.registry_load import load_registry\n"
        "verdict = Validator(load_registry()).validate(sys.stdin.buffer.read())\n"
        "print(json.dumps([verdict.valid, [f.path for f in verdict.findings]]))\n"
    )
    places = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(event), env={**os.environ, "PYTHONPATH": places},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [not path, [path] if path else []]


def test_added_types_are_exported(tmp_path: Path) -> None:
    """`schema export --schemas DIR` writes the types of the folder beside ours."""
    (schema,) = blocks("extending.md", "json")
    added, out = tmp_path / "event-types", tmp_path / "out"
    added.mkdir()
    (added / "Deployed.schema.json").write_text(schema, encoding="utf-8")
    done = export_to(out, schema_dirs=[added])
    assert done.files == len(schema_files()) + 1
    written = json.loads((out / "payloads" / "Deployed.schema.json").read_bytes())
    assert written["properties"] == json.loads(schema)["properties"]
    assert b'"Deployed"' in (out / "event.schema.json").read_bytes()
