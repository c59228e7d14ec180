"""Event types that others add are judged like ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spec_kitty_sync.errors import ContractError
from spec_kitty_sync.events import Validator, default_registry
from spec_kitty_sync.events.schema_export import export_schemas
from spec_kitty_sync.registry_load import RegistryLoadError, load_registry, load_schema_dir

DEPLOYED = {
    "$id": "https://ops.example.invalid/deployed",
    "x-spec-kitty": {
        "pack": "ops",
        "aggregate_types": ["Deployment"],
        "tier": 2,
        "family": "discardable",
    },
    "type": "object",
    "required": ["environment", "revision"],
    "properties": {
        "environment": {"enum": ["staging", "production"]},
        "revision": {"type": "string", "minLength": 7},
    },
}


def event(payload: object, **more: object) -> dict[str, object]:
    """Return a canonical Deployed event."""
    return {
        "event_id": "01JQ0000000000000000000001",
        "event_type": "Deployed",
        "aggregate_id": "demo",
        "aggregate_type": "Deployment",
        "payload": payload,
        "timestamp": "2026-03-01T09:30:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": 1,
        "project_uuid": "7d9c1f6e-3b52-4c88-9f0a-2f1b6f6f0c11",
        "correlation_id": "01JQ00000000000000000000C1",
        **more,
    }


@pytest.fixture
def schema_dir(tmp_path: Path) -> Path:
    """A folder with the schema of one event type."""
    (tmp_path / "Deployed.schema.json").write_text(json.dumps(DEPLOYED), encoding="utf-8")
    return tmp_path


def test_schema_folder_adds_a_type_that_is_validated(schema_dir: Path) -> None:
    """A type from a schema folder is known, and its payload is held to the schema."""
    registry = load_registry(schema_dirs=[schema_dir], plugins=False)
    validator = Validator(registry)
    good = {"environment": "staging", "revision": "7a073bf4"}
    assert validator.validate_parsed(event(good)).valid
    bad = validator.validate_parsed(event({"environment": "moon", "revision": 7}))
    found = {(f.code, f.path) for f in bad.findings}
    assert found == {
        ("schema_violation", "/payload/environment"),
        ("wrong_type", "/payload/revision"),
    }
    missing = validator.validate_parsed(event({"environment": "staging"}))
    assert [(f.code, f.path) for f in missing.findings] == [("missing", "/payload/revision")]
    both = validator.validate_parsed(event({}))
    assert {f.path for f in both.findings} == {"/payload/environment", "/payload/revision"}
    assert (registry.get("Deployed").tier, registry.get("Deployed").family) == (2, "discardable")
    exported = export_schemas(registry)["payloads/Deployed.schema.json"]
    assert exported["$id"].endswith("/payloads/Deployed.schema.json")


def test_core_pack_alone_does_not_know_the_added_type(schema_dir: Path) -> None:
    """Restricting the packs leaves added types out."""
    registry = load_registry(schema_dirs=[schema_dir], plugins=False)
    verdict = Validator(registry, packs=frozenset({"core"})).validate_parsed(event({}))
    codes = {f.code for f in verdict.findings}
    assert codes == {"unknown_event_type", "unknown_aggregate_type"}


def test_schema_folder_cannot_redefine_a_type(tmp_path: Path) -> None:
    """A registered type cannot be redefined."""
    (tmp_path / "WPCreated.schema.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ContractError, match="WPCreated"):
        load_registry(schema_dirs=[tmp_path], plugins=False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "Deployed"),
        ("[]", "not a JSON object"),
        ('{"type": "no-such-type"}', "no-such-type"),
        ('{"x-spec-kitty": {"tier": 9}}', "tier"),
        ('{"x-spec-kitty": {"family": "mine"}}', "family"),
        ('{"x-spec-kitty": {"aggregate_types": []}}', "aggregate_types"),
        ('{"x-spec-kitty": {"colour": 1}}', "colour"),
        ('{"x-spec-kitty": {"pack": ""}}', "pack"),
        ('{"$ref": "#/$defs/none"}', "#/[$]defs/none leads nowhere"),
        ('{"allOf": [{"$ref": "other.json"}]}', "other.json leads nowhere"),
        ('{"anyOf": [{"$ref": "https://example.com/x.json"}]}', "example.com.* leads nowhere"),
    ],
)
def test_broken_schema_file_is_refused_by_name(tmp_path: Path, content: str, words: str) -> None:
    """A file that is no usable schema is refused with its name and the fault."""
    (tmp_path / "Deployed.schema.json").write_text(content, encoding="utf-8")
    with pytest.raises(RegistryLoadError, match=words):
        load_schema_dir(tmp_path)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/text", "$defs": {"text": {"type": "object"}}},
        {"$id": "https://a.invalid/x", "properties": {"a": {"$ref": "#"}}},
        {
            "$id": "https://a.invalid/x",
            "properties": {"a": {"$ref": "y#/$defs/n"}},
            "$defs": {"y": {"$id": "https://a.invalid/y", "$defs": {"n": {"type": "null"}}}},
        },
        {"properties": {"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}},
    ],
)
def test_schema_may_refer_to_what_is_in_its_file(tmp_path: Path, schema: object) -> None:
    """References inside the file and to the meta-schema are followed."""
    (tmp_path / "Deployed.schema.json").write_text(json.dumps(schema), encoding="utf-8")
    validator = Validator(load_registry(schema_dirs=[tmp_path], plugins=False))
    assert validator.validate_parsed(event({"a": None, "b": 1}, aggregate_type="Mission"))


def test_schema_without_end_is_a_finding(tmp_path: Path) -> None:
    """A schema that refers to itself for ever makes a finding, not a crash."""
    endless = {"properties": {"a": {"$ref": "#/properties/a"}}}
    (tmp_path / "Deployed.schema.json").write_text(json.dumps(endless), encoding="utf-8")
    validator = Validator(load_registry(schema_dirs=[tmp_path], plugins=False))
    verdict = validator.validate_parsed(event({"a": 1}, aggregate_type="Mission"))
    assert [(f.code, f.path) for f in verdict.findings] == [("schema_violation", "/payload")]


@pytest.mark.parametrize("pack", ["core", "field"])
def test_extension_cannot_join_the_contracts_packs(tmp_path: Path, pack: str) -> None:
    """What receivers must take is not for an extension to say."""
    schema = {"x-spec-kitty": {"pack": pack}}
    (tmp_path / "Deployed.schema.json").write_text(json.dumps(schema), encoding="utf-8")
    with pytest.raises(RegistryLoadError, match=pack):
        load_registry(schema_dirs=[tmp_path], plugins=False)


def test_empty_schema_folder_is_refused(tmp_path: Path) -> None:
    """A folder without schemas is a mistake, not an empty extension."""
    with pytest.raises(RegistryLoadError, match="no "):
        load_schema_dir(tmp_path)


def test_entry_point_adds_types(tmp_path: Path) -> None:
    """An installed package adds types through the entry point group."""
    package = tmp_path / "acme_events.py"
    package.write_text(
        "from spec_kitty_sync.events import EventType\n"
        "def types():\n"
        "    return [EventType('AcmeShipped', pack='acme')]\n",
        encoding="utf-8",
    )
    program = (
        "from spec_kitty_sync.registry_load import load_registry as load\n"
        "print('AcmeShipped' in load(), 'AcmeShipped' in load(plugins=False))"
    )
    assert installed(package, program).stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ("[EventType('AcmeShipped')]", "'core' is taken"),
        ("[EventType('AcmeShipped', pack='acme', shapes=(Shape('s'),))]", "a shape of it"),
        ("[EventType('WPCreated', pack='acme')]", "registered already"),
        ("['AcmeShipped']", "no list of EventType"),
        ("None", "no list of EventType"),
    ],
)
def test_broken_entry_point_is_refused_by_name(tmp_path: Path, types: str, words: str) -> None:
    """A package whose types cannot be taken is an error that says which and why."""
    package = tmp_path / "acme_events.py"
    package.write_text(
        f"from spec_kitty_sync.events import EventType, Shape\ndef types():\n    return {types}\n",
        encoding="utf-8",
    )
    program = (
        "from spec_kitty_sync.errors import ContractError\n"
        "from spec_kitty_sync.registry_load import load_registry\n"
        "try:\n    load_registry()\nexcept ContractError as error:\n    print(error)"
    )
    assert words in installed(package, program).stdout


def installed(package: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run *program* where the module *package* is installed with an entry point."""
    info = package.parent / "acme_events-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: acme-events\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[spec_kitty_sync.event_types]\nacme = acme_events:types\n", encoding="utf-8"
    )
    source = Path(__file__).resolve().parents[1] / "src"
    places = os.pathsep.join([str(package.parent), str(source)])
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True, check=True,
    )  # fmt: skip


def test_loading_without_extensions_gives_the_default_registry() -> None:
    """Without extensions nothing is added."""
    assert list(load_registry(plugins=False)) == list(default_registry())
