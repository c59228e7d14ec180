"""One-step damages of a valid event: each is the parent plus one edit, and names its field."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from spec_kitty_sync.conformance.builder import EVIDENCE, Example, JsonObject

MISSING: Final = "\0missing"


@dataclass(frozen=True)
class Edit:
    """One change to an event; `field` is the dotted place, the last part is what a reason names."""

    name: str
    field: str
    value: Any = MISSING

    @property
    def names(self) -> str:
        """The name of the edited field itself."""
        return self.field.rsplit(".", 1)[-1]

    @property
    def is_named_by(self) -> tuple[str, ...]:
        """The words of which a good reason has one: the field, or the object it stands in."""
        return tuple(part for part in reversed(self.field.split(".")) if part != "payload") or (
            "payload",
        )

    @property
    def is_removal(self) -> bool:
        return isinstance(self.value, str) and self.value == MISSING

    def apply(self, event: JsonObject) -> JsonObject:
        """Return a copy of *event* with this one edit."""
        changed = copy.deepcopy(event)
        *path, last = self.field.split(".")
        target = changed
        for part in path:
            target = target[part]
        if self.is_removal:
            target.pop(last, None)
        else:
            target[last] = copy.deepcopy(self.value)
        return changed


# What no receiver may take, by kind of field. Never a lane, type or shape of the field pack.
WRONG: dict[str, dict[str, Any]] = {
    "text": {"number": 7, "object": {}, "list": [], "true": True},
    "wp": {
        "number": 7,
        "one-digit": "WP1",
        "lower-case": "wp01",
        "newline-after": "WP01\n",
        "full-width": "ＷＰ01",
        "arabic-digits": "WP٠١",
        "blank-before": " WP01",
    },
    "lane": {"number": 7, "unknown-lane": "polishing", "upper-case": "PLANNED", "list": []},
    "count": {"negative": -1, "fraction": 1.5, "text": "1", "true": True},
    "positive": {"zero": 0, "negative": -3, "text": "1", "true": True},
    "number3": {"one-digit": "1", "four-digits": "0001", "letters": "abc", "number": 1},
    "moment": {"word": "yesterday", "no-zone": "2026-02-01T10:00:00", "number": 1770000000},
    "flag": {"text": "yes", "number": 1, "list": []},
    "wps": {"text": "WP01", "bad-item": ["WP01", "wp1"], "number-item": [1], "object": {}},
    "evidence": {"text": "done", "list": []},
    "enum": {"unknown-word": "perhaps", "number": 7, "list": []},
}

_TEXTS = frozenset(
    [
        "feature_slug",
        "actor",
        "title",
        "agent_id",
        "target_branch",
        "entry_content",
        "error_message",
        "mission_id",
        "mission_type",
        "initial_phase",
        "final_phase",
        "reason",
        "phase_name",
        "gate_type",
        "external_provider",
        "review_ref",
        "target_phase",
        "gate_name",
        "check_run_url",
        "delivery_id",
        "author",
        "stack_trace",
        "total_duration",
        "changed_by",
        "previous_phase",
    ]
)
_KINDS: dict[str, str] = {
    "wp_id": "wp",
    "dependency_wp_id": "wp",
    "from_lane": "lane",
    "to_lane": "lane",
    "previous_status": "lane",
    "new_status": "lane",
    "retry_count": "count",
    "wp_count": "count",
    "total_wps": "count",
    "check_run_id": "positive",
    "pr_number": "positive",
    "feature_number": "number3",
    "created_at": "moment",
    "completed_at": "moment",
    "force": "flag",
    "dependencies": "wps",
    "cancelled_wp_ids": "wps",
    "affected_wp_ids": "wps",
    "evidence": "evidence",
}
# The one optional field that an example's required ones hold: with it the move is whole.
_MAY_LACK = "from_lane"
_DEFAULTED = frozenset(
    [
        "force",
        "gate_type",
        "external_provider",
        "dependencies",
        "retry_count",
        "author",
        "changed_by",
        "cancelled_wp_ids",
        "affected_wp_ids",
    ]
)


def kind_of(field: str) -> str:
    """Return the kind of a payload field."""
    return "text" if field in _TEXTS else _KINDS.get(field, "enum")


def wrong_values(example: Example) -> Iterator[Edit]:
    """Yield every wrong type, pattern and enum value for every field of *example*."""
    for field in {**example.required, **example.optional}:
        for name, value in WRONG[kind_of(field)].items():
            yield Edit(f"{field}-{name}", f"payload.{field}", value)


def missing_fields(example: Example) -> Iterator[Edit]:
    """Yield the removal of every field that *example* cannot do without."""
    for field in example.required:
        if _is_droppable(field):
            continue
        yield Edit(f"{field}-missing", f"payload.{field}")
        yield Edit(f"{field}-null", f"payload.{field}", None)


def nullable_fields(example: Example) -> tuple[str, ...]:
    """Return the fields of *example* that CONTRACT 3 marks `?`: null and absent are the same."""
    return tuple(sorted({*example.optional, *example.required.keys() & {_MAY_LACK}} - _DEFAULTED))


def empty_texts(example: Example) -> Iterator[Edit]:
    """Yield the empty string in every text field."""
    for field in {**example.required, **example.optional}:
        if kind_of(field) in {"text", "enum", "lane"}:
            yield Edit(f"{field}-empty", f"payload.{field}", "")


def conditional_rules() -> Iterator[tuple[str, Edit]]:
    """Yield (example, edit) for the rules that bind two fields of a status change."""
    shape = "WPStatusChanged.status_transition"
    yield shape, Edit("done-without-evidence", "payload.evidence")
    yield shape, Edit("force-without-reason", "payload.reason")
    for part in ("repos", "verification", "review"):
        yield shape, Edit(f"evidence-without-{part}", f"payload.evidence.{part}")
    yield shape, Edit("evidence-with-no-repo", "payload.evidence.repos", [])
    yield shape, Edit("evidence-repo-number", "payload.evidence.repos", [7])
    yield shape, Edit("evidence-review-text", "payload.evidence.review", "approved")


def done_payload() -> JsonObject:
    """Return a forced move to done: every field of the shape is present and needed."""
    return {
        "feature_slug": "001-kit",
        "wp_id": "WP01",
        "from_lane": "for_review",
        "to_lane": "done",
        "actor": "robin",
        "force": True,
        "reason": "shown to work",
        "execution_mode": "worktree",
        "evidence": copy.deepcopy(EVIDENCE),
    }


def _is_droppable(field: str) -> bool:
    # Dropping these leaves a valid payload of the same or of another shape.
    return field in _DEFAULTED or field == _MAY_LACK
