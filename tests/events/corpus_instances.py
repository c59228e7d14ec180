"""Builds events and their broken variants from the exported schemas, rule by rule."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spec_kitty_sync.events import fields

Schema = dict[str, Any]
Path = tuple[str | int, ...]

SAMPLES = {
    fields.ULID_PATTERN: "01JQ00000000000000000000ZZ",
    fields.UUID4_PATTERN: "7d9c1f6e-3b52-4c88-9f0a-2f1b6f6f0c11",
    fields.WP_ID_PATTERN: "WP01",
    fields.TIMESTAMP_PATTERN: "2026-03-01T09:30:00.123456+02:00",
    fields.VERSION_PATTERN: "1.0.0",
    fields.NUMBER_PATTERN: "001",
}
BAD_TEXTS = {
    fields.WP_ID_PATTERN: ("WP1", "wp01", "WP01\n", "ＷＰ01", "WP٠١"),
    fields.TIMESTAMP_PATTERN: (
        "2026-03-01T09:30:00",
        "2026-02-29T09:30:00Z",
        "2100-02-29T09:30:00Z",
        "2026-04-31T09:30:00Z",
        "2026-03-01t09:30:00Z",
        "2026-03-01T09:30:00z",
        "2026-03-01 09:30:00Z",
        "2026-03-01T09:30:00.1234567890Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T09:30:00Z\n",
        "2026-03-01T09:60:00Z",
        "2026-03-01T09:30:61Z",
        "2026-03-01T09:30:00+24:00",
        "2026-03-01T09:30:00+02:60",
        "2026-03-01T09:30:00.Z",
        "2026-03-01T09:30:00+0200",
        "٢٠٢٦-03-01T09:30:00Z",
    ),
    fields.NUMBER_PATTERN: ("1", "0001", "٠٠١"),
}
REMOVED = object()


@dataclass(frozen=True)
class Edit:
    """One change that breaks one rule, with the finding it must lead to."""

    rule: str
    path: Path
    value: Any
    code: str
    blamed: Path

    def apply(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return a copy of *event* with this change."""
        changed = copy.deepcopy(event)
        place: Any = changed
        for step in self.path[:-1]:
            place = place[step]
        if self.value is REMOVED:
            del place[self.path[-1]]
        else:
            place[self.path[-1]] = self.value
        return changed


def instance(schema: Schema, root: Schema, *, maximal: bool, name: str = "value") -> Any:
    """Return a value that *schema* allows: only what is required, or everything it knows."""
    schema = resolve(schema, root)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        return _object(schema, root, maximal=maximal)
    if kind == "array":
        wanted = 1 if maximal or schema.get("minItems") else 0
        item = schema.get("items", {"type": "string"})
        return [instance(item, root, maximal=maximal, name=name) for _ in range(wanted)]
    if kind == "string":
        return SAMPLES[schema["pattern"]] if "pattern" in schema else f"example {name}"
    if kind == "boolean":
        return False
    if kind == "number":
        return 0.5
    return max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1, int(maximal))


def _object(schema: Schema, root: Schema, *, maximal: bool) -> dict[str, Any]:
    properties, required = dict(schema.get("properties", {})), list(schema.get("required", ()))
    for rule in schema.get("allOf", ()):
        if "else" in rule:
            properties.update(rule["then"]["properties"])
            if "else" in rule["else"]:
                required.extend(rule["if"]["required"])
    return {
        key: instance(each, root, maximal=maximal, name=key.replace("_", " "))
        for key, each in properties.items()
        if maximal or key in required
    }


def resolve(schema: Schema, root: Schema) -> Schema:
    """Return *schema* with its reference followed and null left out."""
    if "$ref" in schema:
        return resolve(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    for branch in schema.get("anyOf", ()):
        if branch.get("type") != "null":
            return resolve(branch, root)
    return schema


def is_nullable(schema: Schema) -> bool:
    """Return True when null is allowed."""
    return any(branch.get("type") == "null" for branch in schema.get("anyOf", ()))


def edits(schema: Schema, root: Schema, value: Any, path: Path) -> Iterator[Edit]:
    """Yield one edit for each rule that *schema* states about the object *value* at *path*."""
    for key in schema.get("required", ()):
        yield Edit("missing", (*path, key), REMOVED, "missing", (*path, key))
    for key, each in schema.get("properties", {}).items():
        if key in value:
            yield from _field_edits(each, root, value[key], (*path, key))


def _field_edits(schema: Schema, root: Schema, value: Any, path: Path) -> Iterator[Edit]:
    rule, nullable = resolve(schema, root), is_nullable(schema)
    if rule == {}:
        return
    wrong: Any = "text" if isinstance(value, dict | list) else {"an": "object"}
    yield Edit("wrong-type", path, wrong, "wrong_type", path)
    if not nullable:
        yield Edit("null", path, None, "wrong_type", path)
    yield from _scalar_edits(schema, rule, path)
    if isinstance(value, dict):
        yield from edits(rule, root, value, path)
    if isinstance(value, list):
        if rule.get("minItems"):
            yield Edit("empty", path, [], "empty", path)
        if value and rule.get("items"):
            yield from _field_edits(rule["items"], root, value[0], (*path, 0))


def _scalar_edits(schema: Schema, rule: Schema, path: Path) -> Iterator[Edit]:
    if "enum" in rule or "const" in rule:
        lane = path[-1] in ("from_lane", "to_lane")
        code = "unknown_lane" if lane else "not_allowed"
        yield Edit("not-allowed", path, "no-such-value", code, path)
        if lane:
            yield Edit("alias", path, "doing", "lane_alias", path)
        return
    if rule.get("type") == "string":
        if rule.get("minLength"):
            yield Edit("empty", path, "", "empty", path)
        for n, text in enumerate(BAD_TEXTS.get(rule.get("pattern", ""), ())):
            yield Edit(f"wrong-pattern-{n + 1}", path, text, "wrong_pattern", path)
    if rule.get("type") == "integer":
        for name, number in (("boolean", True), ("fraction", 1.5), ("text", "1")):
            yield Edit(name, path, number, "wrong_type", path)
    yield from _range_edits(rule, path)


def _range_edits(rule: Schema, path: Path) -> Iterator[Edit]:
    if "minimum" in rule:
        yield Edit("too-small", path, rule["minimum"] - 1, "out_of_range", path)
    if "exclusiveMinimum" in rule:
        yield Edit("too-small", path, rule["exclusiveMinimum"], "out_of_range", path)
    if "maximum" in rule and rule["maximum"] < 2**62:
        yield Edit("too-large", path, rule["maximum"] + 1, "out_of_range", path)
