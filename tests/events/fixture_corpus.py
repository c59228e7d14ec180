"""Makes the committed corpus under fixtures/: run it after a change of the contract.

    python tests/events/fixture_corpus.py

The expected codes and paths come from the rules that were broken on purpose, not from our
validator; the tests then hold the validator to them.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus_batches import BATCHES, Batch
from corpus_instances import REMOVED, SAMPLES, Edit, edits, instance
from corpus_raw import RAW_CASES
from corpus_replays import REPLAYS

from spec_kitty_sync.events import EventType, Shape, default_registry, fields
from spec_kitty_sync.events.schema_export import export_schemas, payload_file

ROOT = Path(__file__).resolve().parents[2] / "fixtures"
SCHEMAS = export_schemas(default_registry())


@dataclass
class Corpus:
    """Files by name below fixtures/, and the manifest that explains them."""

    files: dict[str, bytes] = field(default_factory=dict)
    cases: list[dict[str, Any]] = field(default_factory=list)
    replays: list[dict[str, Any]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)

    def manifest(self) -> bytes:
        """Return manifest.json."""
        document = {
            "contract": "1.0",
            "cases": self.cases,
            "replays": self.replays,
            "batches": self.batches,
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def build() -> Corpus:
    """Return the whole corpus; the same at every run."""
    corpus = Corpus()
    for event_type in default_registry():
        for shape in event_type.shapes:
            _add_shape(corpus, event_type, shape)
    _add_envelope(corpus)
    for name, body, expected in RAW_CASES:
        corpus.files[f"events/raw/{name}.json"] = body
        corpus.cases.append({"id": f"raw/{name}", "file": f"events/raw/{name}.json", **expected})
    _add_recorded(corpus)
    for replay in REPLAYS:
        _add_replay(corpus, replay)
    for batch in BATCHES:
        _add_batch(corpus, batch)
    corpus.files["manifest.json"] = corpus.manifest()
    return corpus


def envelope(event_type: EventType, payload: dict[str, Any], *, maximal: bool) -> dict[str, Any]:
    """Return a canonical event around *payload*, with every envelope field when *maximal*."""
    event = {
        "event_id": "01JQ0000000000000000000001",
        "event_type": event_type.name,
        "aggregate_id": str(payload.get("wp_id") or payload.get("mission_id") or "example"),
        "aggregate_type": event_type.aggregate_types[0],
        "payload": payload,
        "timestamp": "2026-03-01T09:30:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": 7,
        "project_uuid": SAMPLES[fields.UUID4_PATTERN],
        "correlation_id": "01JQ00000000000000000000C1",
    }
    if maximal:
        event |= {
            "causation_id": "01JQ0000000000000000000000",
            "project_slug": "demo-project",
            "team_slug": "team-a",
            "schema_version": "1.0.0",
            "data_tier": 1,
            "git_branch": "main",
        }
    return event


def _add_shape(corpus: Corpus, event_type: EventType, shape: Shape) -> None:
    schema = SCHEMAS[payload_file(event_type, shape)]
    name = payload_file(event_type, shape).removeprefix("payloads/").removesuffix(".schema.json")
    parents: dict[bool, dict[str, Any]] = {}
    for maximal in (False, True):
        payload = instance(schema, schema, maximal=maximal)
        if shape.name == "status_transition" and maximal:
            payload |= {"from_lane": "for_review", "to_lane": "done"}
        parents[maximal] = envelope(event_type, payload, maximal=maximal)
        size = "maximal" if maximal else "minimal"
        _add_valid(corpus, f"{name}.{size}", parents[maximal], shape)
    lines: list[bytes] = []
    for edit in _payload_edits(schema, shape, parents[True]):
        _add_invalid(corpus, name, edit, parents[True], lines)
    if lines:
        corpus.files[f"events/invalid/{name}.jsonl"] = b"".join(lines)


def _payload_edits(schema: dict[str, Any], shape: Shape, parent: dict[str, Any]) -> Iterator[Edit]:
    for edit in edits(schema, schema, parent["payload"], ("payload",)):
        if _stays(edit, shape, parent):
            yield edit
    if shape.name in ("status_transition", "sync_status"):
        yield Edit("genesis", _at("to_lane"), "genesis", "unknown_lane", _at("to_lane"))
    if shape.name == "status_transition":
        yield Edit(
            "done-without-evidence", _at("evidence"), REMOVED, "evidence_missing", _at("evidence")
        )
        forced = {**parent["payload"], "force": True}
        del forced["reason"]
        yield Edit("forced-without-reason", ("payload",), forced, "reason_missing", _at("reason"))
        yield Edit("missing", _at("feature_slug"), REMOVED, "missing", _at("feature_slug"))
        yield Edit("empty", _at("feature_slug"), "", "empty", _at("feature_slug"))


def _at(key: str) -> tuple[str, str]:
    return ("payload", key)


def _stays(edit: Edit, shape: Shape, parent: dict[str, Any]) -> bool:
    """Return False for an edit that makes another shape of it: no negative of this one."""
    payload = edit.apply(parent)["payload"]
    event_type = default_registry().get(parent["event_type"])
    return event_type.shape_of(payload) == shape


def _add_valid(corpus: Corpus, name: str, event: dict[str, Any], shape: Shape) -> None:
    file = f"events/valid/{name}.json"
    corpus.files[file] = _body(event)
    expected = {"valid": True, "dialect": "canonical", "pack": shape.pack, "findings": []}
    corpus.cases.append({"id": f"valid/{name}", "file": file, **expected})


def _add_invalid(
    corpus: Corpus, name: str, edit: Edit, parent: dict[str, Any], lines: list[bytes]
) -> None:
    finding = {"code": edit.code, "severity": "error", "path": _pointer(edit.blamed)}
    case = {
        "id": f"invalid/{name}/{_pointer(edit.path)[1:]}:{edit.rule}",
        "file": f"events/invalid/{name}.jsonl",
        "line": len(lines) + 1,
        "valid": False,
        "findings": [finding],
    }
    corpus.cases.append(case)
    lines.append(_body(edit.apply(parent)))


def _add_envelope(corpus: Corpus) -> None:
    event_type = default_registry().get("WPAssigned")
    schema = SCHEMAS["payloads/WPAssigned.schema.json"]
    parent = envelope(event_type, instance(schema, schema, maximal=True), maximal=True)
    rules = copy.deepcopy(SCHEMAS["envelope.schema.json"])
    for name in ("aggregate_type", "schema_version", "payload"):
        del rules["properties"][name]
    lines: list[bytes] = []
    for edit in (*edits(rules, rules, parent, ()), *_envelope_edits()):
        _add_invalid(corpus, "envelope", edit, parent, lines)
    corpus.files["events/invalid/envelope.jsonl"] = b"".join(lines)
    for name, changes in _DIALECTS.items():
        event = {k: v for k, v in (parent | changes).items() if v is not REMOVED}
        file = f"events/valid/dialect.{name}.json"
        corpus.files[file] = _body(event)
        warned = [{"code": "no_identity", "severity": "warning", "path": "/project_uuid"}]
        findings = warned if event.get("project_uuid") is None else []
        case = {"id": f"valid/dialect/{name}", "file": file, "valid": True, "pack": "core"}
        corpus.cases.append(case | {"dialect": name.split("-")[0], "findings": findings})


_DIALECTS: dict[str, dict[str, Any]] = {
    "identity": {"correlation_id": REMOVED, "schema_version": REMOVED, "data_tier": REMOVED},
    "identity-nulls": dict.fromkeys(
        ("correlation_id", "causation_id", "project_slug", "team_slug"), None
    ),
    "emission": {"correlation_id": REMOVED, "project_uuid": REMOVED, "project_slug": REMOVED},
    "emission-null": {"correlation_id": None, "project_uuid": None},
    "canonical-version-3": {"schema_version": "3.0.0"},
    "canonical-without-project": {"project_uuid": None},
}


def _envelope_edits() -> Iterator[Edit]:
    bad = {
        "event_id": ("01JQ000000000000000000000", "01JQ00000000000000000000011",
                     "01jq0000000000000000000001", "81JQ0000000000000000000001",
                     "01JQ000000000000000000000I", "01JQ000000000000000000000٠"),
        "project_uuid": ("00000000-0000-0000-0000-000000000000",
                         "7d9c1f6e-3b52-1c88-9f0a-2f1b6f6f0c11",
                         "7d9c1f6e-3b52-4c88-cf0a-2f1b6f6f0c11",
                         "{7d9c1f6e-3b52-4c88-9f0a-2f1b6f6f0c11}",
                         "urn:uuid:7d9c1f6e-3b52-4c88-9f0a-2f1b6f6f0c11",
                         "7d9c1f6e3b524c889f0a2f1b6f6f0c11"),
        "schema_version": ("1", "1.0", "v1.0.0", "1.0.0\n", "1.0.0-alpha"),
    }  # fmt: skip
    for name, texts in bad.items():
        for n, text in enumerate(texts):
            yield Edit(f"bad-{n + 1}", (name,), text, "wrong_pattern", (name,))
    version = ("schema_version",)
    yield Edit("major-2", version, "2.0.0", "schema_version_unsupported", version)
    for n, text in enumerate(("0.9.0", "10.0.0", "31.0.0", "01.0.0")):
        yield Edit(f"major-bad-{n + 1}", version, text, "schema_version_unsupported", version)
    yield Edit("type", ("event_type",), "NoSuchType", "unknown_event_type", ("event_type",))
    kind = ("aggregate_type",)
    yield Edit("unknown", kind, "Sprint", "unknown_aggregate_type", kind)
    for n, value in enumerate((None, [], "text")):
        yield Edit(f"wrong-type-{n + 1}", ("payload",), value, "wrong_type", ("payload",))
    clock = ("lamport_clock",)
    yield Edit("beyond", clock, 2**63 - 1 + 1, "json_integer_range", clock)


def _add_recorded(corpus: Corpus) -> None:
    """Add events as released CLIs wrote them; the files are copies, only listed here."""
    for path in sorted((ROOT / "events" / "recorded").glob("*.jsonl")):
        file = f"events/recorded/{path.name}"
        corpus.files[file] = path.read_bytes()
        corpus.cases.append(
            {"id": f"recorded/{path.stem}", "file": file, "valid": True, "each_line": True}
        )


def _add_replay(corpus: Corpus, replay: Any) -> None:
    file = f"replays/{replay.name}.jsonl"
    corpus.files[file] = b"".join(_body(event) for event in replay.events)
    expected_file = f"replays/{replay.name}.expected.json"
    expected = json.dumps(replay.expected, indent=1, ensure_ascii=False).encode() + b"\n"
    corpus.files[expected_file] = expected
    corpus.replays.append(
        {"id": replay.name, "shows": replay.shows, "file": file, "expected": expected_file}
    )


def _add_batch(corpus: Corpus, batch: Batch) -> None:
    file = f"batches/{batch.name}.body"
    corpus.files[file] = batch.body
    corpus.batches.append(
        {
            "id": batch.name,
            "shows": batch.shows,
            "file": file,
            "content_encoding": batch.encoding,
            "legal_http_statuses": batch.statuses,
            "results": batch.results,
            "reason_names": batch.names,
        }
    )


def _body(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _pointer(path: tuple[str | int, ...]) -> str:
    return "".join(f"/{step}" for step in path)


def write(corpus: Corpus) -> None:
    """Write every file that is generated, and remove those that no longer are."""
    for folder in ("events/valid", "events/invalid", "events/raw", "replays", "batches"):
        for old in (ROOT / folder).glob("*"):
            old.unlink()
    for name, content in corpus.files.items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    made = build()
    write(made)
    sys.stdout.write(f"{len(made.files)} files, {len(made.cases)} cases\n")
