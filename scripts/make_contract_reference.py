"""Write docs/contract/{events,wire,requirements}.md from the models, schemas and catalogues.

python scripts/make_contract_reference.py [--check]
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spec_kitty_sync._files import shared_path
from spec_kitty_sync.conformance.catalogue import Requirement, catalogue_path, load_catalogue
from spec_kitty_sync.delivery.states import DeliveryState, next_state
from spec_kitty_sync.events import default_registry
from spec_kitty_sync.events.registry import CORE, EventType
from spec_kitty_sync.events.results import CATEGORY_WORDS, BatchResult, ResultStatus

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "contract"
_EXAMPLES = Path(__file__).with_name("contract_examples.json")
_MADE = "<!-- Made by scripts/make_contract_reference.py; a test compares. -->"
_WIDTH = 90
_EVENT_ID = "01JQ0000000000000000000001"
_PATTERNS = {
    "^[0-7][0-9A-HJKMNP-TV-Z]{25}$": "ULID",
    "^WP[0-9]{2,}$": "`WP[0-9]{2,}`",
    "^[0-9]{3}$": "`[0-9]{3}`",
    "^[13]\\.[0-9]+\\.[0-9]+$": "`1.MINOR.PATCH` or `3.MINOR.PATCH`",
}
_STATUS_MEANS = {
    "success": "stored",
    "duplicate": "this id was stored before",
    "pending": "accepted, not settled; also written `queued`",
    "rejected": "the content is refused; needs a reason that names the field",
    "failed_transient": "try again",
    "failed_permanent": "never send again",
}
_SUITES = {"receiver": "Receivers", "producer": "Producers", "migration": "Migration tools"}


def schema(name: str) -> dict[str, Any]:
    """Return the committed schema called *name*."""
    path = shared_path("schemas", *f"{name}.schema.json".split("/"))
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def describe(rule: dict[str, Any], defs: dict[str, Any]) -> str:
    """Return *rule*, a JSON Schema of one value, in words."""
    if "$ref" in rule:
        name = rule["$ref"].rpartition("/")[2]
        if name not in defs:
            return f"as in [`{name}`](../../schemas/{name})"
        target = defs[name]
        return name if target.get("type") == "object" else describe(target, defs)
    if "anyOf" in rule:
        parts = [describe(each, defs) for each in rule["anyOf"]]
        return " or ".join(dict.fromkeys(part for part in parts if part != "null"))
    if "const" in rule:
        return f"`{rule['const']}`"
    if "enum" in rule:
        return " ".join(f"`{each}`" for each in rule["enum"])
    match rule.get("type"):
        case "string":
            return _text(rule)
        case "integer":
            return _number(rule)
        case "array":
            least = f"[≥{rule['minItems']}]" if "minItems" in rule else ""
            return f"list{least} of {describe(rule['items'], defs)}"
        case list() as several:
            return describe({**rule, "type": next(x for x in several if x != "null")}, defs)
        case other:
            return str(other)


def _text(rule: dict[str, Any]) -> str:
    pattern = rule.get("pattern")
    if pattern is None:
        return "text"
    if "T(?:[01][0-9]" in pattern:
        return "RFC 3339 time with offset"
    if pattern.startswith("^[0-9A-Fa-f]{8}-"):
        return "UUID v4"
    return _PATTERNS.get(pattern, f"`{pattern}`")


def _number(rule: dict[str, Any]) -> str:
    most = rule.get("maximum")
    if most is not None:
        return f"integer {rule['minimum']} … {'2^63-1' if most == 2**63 - 1 else most}"
    least = rule.get("minimum", rule.get("exclusiveMinimum", -1) + 1)
    return f"integer ≥ {least}"


def table(rules: dict[str, Any], defs: dict[str, Any]) -> Iterator[str]:
    """Yield a table of the fields of an object."""
    yield "| field | | value |"
    yield "|---|---|---|"
    required = rules.get("required", [])
    sometimes = dict(_conditions(rules))
    if "feature_slug" in sometimes:
        yield f"| `feature_slug` | {sometimes['feature_slug']} | text |"
    for name, rule in rules["properties"].items():
        kind = "required" if name in required else sometimes.get(name, "optional")
        if "default" in rule and rule["default"] is not None:
            kind = f"default `{json.dumps(rule['default'])}`"
        yield f"| `{name}` | {kind} | {describe(rule, defs)} |"


def _conditions(rules: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields that are required only sometimes, and when."""
    for rule in rules.get("allOf", []):
        if "else" in rule:
            needed = "if" in rule["else"]
            kind = "required" if needed else "optional"
            (other,) = (rule["else"]["then"] if needed else rule["else"])["properties"]
            yield rule["if"]["required"][0], f"{kind}, or `{other}`"
            continue
        for name in rule["then"]["required"]:
            ((field, wanted),) = rule["if"]["properties"].items()
            yield name, f"required when `{field}` is `{json.dumps(wanted['const'])}`"


def block(value: object) -> str:
    """Return *value* as a fenced JSON block."""
    return f"```json\n{_laid_out(value, '')}\n```"


def _laid_out(value: object, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, dict | list):
        return line
    if isinstance(value, list):
        rows, (first, last) = [_laid_out(each, inner) for each in value], "[]"
    else:
        rows = [f"{json.dumps(key)}: {_laid_out(each, inner)}" for key, each in value.items()]
        first, last = "{}"
    joined = f",\n{inner}".join(rows)
    return f"{first}\n{inner}{joined}\n{indent}{last}"


def example_event(name: str, payload: object, aggregate_type: str) -> dict[str, object]:
    """Return a whole event around *payload*."""
    return {
        "event_id": _EVENT_ID,
        "event_type": name,
        "aggregate_id": "WP02" if aggregate_type == "WorkPackage" else "001-map",
        "aggregate_type": aggregate_type,
        "payload": payload,
        "timestamp": "2026-03-01T09:30:00Z",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": 7,
        "causation_id": None,
        "correlation_id": "01JQ00000000000000000000C1",
        "project_uuid": "7d9c1f6e-3b52-4c88-9f0a-2f1b6f6f0c11",
        "project_slug": "maps",
        "team_slug": "team-a",
        "schema_version": "1.0.0",
        "data_tier": 1,
    }


def events_page() -> str:
    """Return the page of envelope and core event types."""
    examples: dict[str, Any] = json.loads(_EXAMPLES.read_text(encoding="utf-8"))
    envelope = schema("envelope")
    core = [each for each in default_registry() if each.pack == CORE]
    lines = [
        "# Events, field by field", "", _MADE, "",
        "Envelope and core event types, made from the models. An optional field may be null or "
        "absent, and both mean "
        "the same. Unknown further fields are allowed, kept and delivered. The rules behind the "
        "tables: "
        "[sections 1-3 of the contract](1.0.md#1-envelope). Machine-readable: "
        "[schemas/](../../schemas/README.md).",
        "", "## Envelope", "", *table(envelope, {}), "",
        "`project_uuid` is required before an event leaves the machine, `correlation_id` in the "
        "canonical form.", "",
        block(example_event("WPCreated", examples["WPCreated"], "WorkPackage")), "",
    ]  # fmt: skip
    for each in core:
        lines += _event_type(each, examples)
    others = sorted(each.name for each in default_registry() if each.pack != CORE)
    lines += [
        "## Types of the field pack", "",
        "Released versions wrote these besides. `spec-kitty diagnose` and the reference receiver "
        "know them; no receiver "
        "is held to them. Their schemas stand in [schemas/payloads](../../schemas/payloads).", "",
        " · ".join(f"`{name}`" for name in others), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _event_type(each: EventType, examples: dict[str, Any]) -> Iterator[str]:
    yield f"## {each.name}"
    yield ""
    yield f"About a `{each.aggregate_types[0]}`; family `{each.family}`, data tier {each.tier}."
    yield ""
    shapes = [shape for shape in each.shapes if shape.pack == CORE]
    for shape in shapes:
        name = each.name if len(each.shapes) == 1 else f"{each.name}.{shape.name}"
        rules = schema(f"payloads/{name}")
        if len(shapes) > 1:
            yield from (f"### Shape {shape.name}", "")
            keys = " ".join(f"`{key}`" for key in sorted(shape.any_of))
            yield f"Chosen when one of {keys} is stated." if keys else "Chosen otherwise."
            yield ""
        if rules.get("description"):
            yield from (rules["description"], "")
        defs = rules.get("$defs", {})
        yield from (*table(rules, defs), "")
        for part, inner in defs.items():
            if inner.get("type") == "object":
                yield from (f"*{part}*", "", *table(inner, defs), "")
        yield from (block(examples[name if len(shapes) > 1 else each.name]), "")


def wire_page() -> str:
    """Return the page of requests, answers, statuses and categories."""
    examples: dict[str, Any] = json.loads(_EXAMPLES.read_text(encoding="utf-8"))
    event = example_event("WPCreated", examples["WPCreated"], "WorkPackage")
    words = [f"| `{name}` | {', '.join(each)} |" for name, each in CATEGORY_WORDS]
    result = schema("batch-response")["properties"]["results"]["items"]
    lines = [
        "# The wire, field by field", "", _MADE, "",
        "What is posted and what is answered. The rules behind the tables, and what a sender "
        "makes of every other "
        "answer: [section 5 of the contract](1.0.md#5-wire).", "",
        "## Batch request", "",
        "`POST /api/v1/events/batch/`: JSON, gzip or plain. At most 1000 events and 8 MiB, or "
        "what health advertises.",
        "", block({"events": [event]}), "",
        "## Batch response", "", "200, and one result for each event sent, in any order.", "",
        *table(result, {}), "", block(example_response()), "",
        "### Status", "",
        "| status | means | state in the sender's ledger |", "|---|---|---|",
        *[_status_row(each) for each in ResultStatus], "",
        "### Category", "",
        "`error_category` is one of `schema_mismatch`, `auth_expired`, `server_error`, "
        "`unknown`, or the receiver's own "
        "(ours adds `id_conflict`, `data_tier`, `team_scope`). A result without one gets the "
        "first category whose words "
        "stand in its reason, else `unknown`:", "",
        "| category | words |", "|---|---|", *words, "",
        "`rejected` with `server_error` counts as `failed_transient`; `rejected` with "
        "`auth_expired` is handled like a "
        "401.", "",
        "## Error response", "",
        "Every answer but 200 is an object with `error`; a 400 has `details` too: text, or one "
        "entry for each event at "
        "fault.", "",
        block(example_error()), "",
        "## Health", "", "`GET /api/v1/sync/health/`, without a token.", "",
        *table(schema("health"), {}), "", block(example_health()), "",
    ]  # fmt: skip
    return "\n".join(lines)


def example_response() -> dict[str, object]:
    """Return a 200 with a result of three kinds."""
    reason = "payload.wp_id: must match WP[0-9]{2,}"
    return {
        "results": [
            {"event_id": "01JQ0000000000000000000001", "status": "success"},
            {"event_id": "01JQ0000000000000000000002", "status": "duplicate"},
            {
                "event_id": "01JQ0000000000000000000003", "status": "rejected",
                "error": reason, "error_category": "schema_mismatch",
            },
        ]
    }  # fmt: skip


def example_error() -> dict[str, object]:
    """Return a 400 that names the event at fault."""
    details = [{"event_id": _EVENT_ID, "error": "lamport_clock: is required"}]
    return {"error": "invalid batch", "details": details}


def example_health() -> dict[str, object]:
    """Return a health answer with limits."""
    return {
        "status": "ok", "server_instance_id": "5f2c9f0e", "deployment_id": "2026-03-01.2",
        "environment_name": "staging", "git_sha": "9f31c0d", "max_batch_events": 1000,
        "max_event_bytes": 262144, "max_body_bytes": 8388608, "capabilities": ["auth", "read-back"],
    }  # fmt: skip


def _status_row(status: ResultStatus) -> str:
    outcome = BatchResult(_EVENT_ID, status).outcome
    first = next_state(DeliveryState.OPEN, outcome, rejections=1)
    last = next_state(first, outcome, rejections=5)
    state = f"`{first}`" if first == last else f"`{first}`, at the fifth time `{last}`"
    return f"| `{status}` | {_STATUS_MEANS[status]} | {state} |"


def requirements_page() -> str:
    """Return the page that leads from sentences of the contract to checks."""
    lines = [
        "# What is checked, sentence by sentence", "", _MADE, "",
        "Every requirement of the three suites below the sentence of [the contract](1.0.md) that "
        "it tests. "
        "`spec-kitty conformance explain ID` says what is sent and what the check has caught.", "",
    ]  # fmt: skip
    for kind, title in _SUITES.items():
        rows = load_catalogue(catalogue_path(kind=kind)).requirements
        must = sum(row.decides for row in rows)
        lines += [f"## {title}", "", f"{len(rows)} requirements; {must} decide the verdict.", ""]
        lines += _by_sentence(rows)
    return "\n".join(lines)


def _by_sentence(rows: tuple[Requirement, ...]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Requirement]] = {}
    for row in rows:
        groups.setdefault((row.clause, row.sentence), []).append(row)
    for (clause, sentence), members in sorted(groups.items(), key=lambda item: item[0][0]):
        yield f"> {clause}: {sentence}"
        yield ""
        for row in members:
            kind = f"{row.level}, provisional" if row.provisional else row.level
            needs = f"; capability `{row.capability}`" if row.capability else ""
            yield f"- `{row.id}` {kind}, {row.profile}{needs}: {row.title}"
        yield ""


def pages() -> dict[str, str]:
    """Return every generated page by file name."""
    made = {
        "events.md": events_page(),
        "wire.md": wire_page(),
        "requirements.md": requirements_page(),
    }
    return {name: _wrapped(text) for name, text in made.items()}


def _wrapped(text: str) -> str:
    """Fold long paragraphs; tables, quotes and code stay as they are."""
    lines = []
    for line in text.rstrip().split("\n"):
        if line.startswith(("- ", "`", "*")) or line[:1].isalnum():
            hanging = "  " if line.startswith("- ") else ""
            lines += textwrap.wrap(line, 118, subsequent_indent=hanging, break_on_hyphens=False)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> str | None:
    """Write the pages, or with --check say which are not current."""
    stale: list[str] = []
    for name, text in pages().items():
        path = FOLDER / name
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            stale.append(name)
    return f"not current: {', '.join(stale)}" if stale else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
