"""Hypothesis strategies: payloads, events, batches, and old queues that share events."""

from __future__ import annotations

import copy
from typing import Any

from spec_kitty_sync._extras import extra
from spec_kitty_sync.conformance.builder import EXAMPLES, Builder, Example, JsonObject, Namespace

with extra("conformance"):
    from hypothesis import strategies as st

_EPOCH_MS = 1_770_000_000_000
_words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40
)


@st.composite
def payloads(draw: st.DrawFn, event_type: str | None = None) -> tuple[str, JsonObject]:
    """Return (event type, valid payload); optional fields come and go, and extra ones too."""
    example = draw(st.sampled_from(_examples(event_type)))
    return example.event_type, draw(_payload_of(example))


@st.composite
def events(draw: st.DrawFn, event_type: str | None = None) -> JsonObject:
    """Return a valid event as a dict, of the canonical dialect or the older one."""
    example = draw(st.sampled_from(_examples(event_type)))
    seed = draw(st.integers(0, 2**64 - 1))
    make = Builder(Namespace(f"{seed:x}", _EPOCH_MS + draw(st.integers(0, 10**9))), "strategy")
    event = make.event(example.name, payload=draw(_payload_of(example)))
    event["lamport_clock"] = draw(st.integers(0, 2**53 - 1))
    if draw(st.booleans()):
        for name in ("correlation_id", "schema_version", "data_tier"):
            del event[name]
    event |= draw(st.dictionaries(st.sampled_from(["build_id", "git_branch"]), _words))
    return event


def batches(max_size: int = 20) -> st.SearchStrategy[list[JsonObject]]:
    """Return valid batches: 1 … *max_size* events, every id once."""
    return st.lists(events(), min_size=1, max_size=max_size, unique_by=lambda one: one["event_id"])


@st.composite
def plural_sources(
    draw: st.DrawFn, *, max_sources: int = 4, max_events: int = 8
) -> dict[str, list[JsonObject]]:
    """Return old queues by file name, which share events: the same, or other content."""
    pool = draw(batches(max_events))
    count = draw(st.integers(1, max_sources))
    names = ["queue.db", *(f"queues/queue-{number:016x}.db" for number in range(1, count))]
    sources: dict[str, list[JsonObject]] = {}
    for name in names:
        chosen = draw(st.lists(st.sampled_from(range(len(pool))), unique=True))
        sources[name] = [_sometimes_other(draw, pool[place]) for place in chosen]
    return sources


def _examples(event_type: str | None) -> list[Example]:
    found = [one for one in EXAMPLES if event_type in (None, one.event_type)]
    if not found:
        raise KeyError(event_type)
    return found


@st.composite
def _payload_of(draw: st.DrawFn, example: Example) -> JsonObject:
    payload = copy.deepcopy(dict(example.required))
    for name, value in example.optional.items():
        if draw(st.booleans()):
            payload[name] = copy.deepcopy(value)
    extra: dict[str, Any] = draw(st.dictionaries(st.just("x_note"), _words))
    return {**payload, **extra}


def _sometimes_other(draw: st.DrawFn, event: JsonObject) -> JsonObject:
    if draw(st.integers(0, 4)):
        return event
    return {**event, "payload": {**event["payload"], "x_note": draw(_words)}}
