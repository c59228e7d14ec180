"""Mutated batches: nothing that anyone can send may take the receiver down."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from spec_kitty_sync.conformance.builder import EXAMPLES, JsonObject
from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.reply import STATUSES, Reply

_ALLOWED = (200, 400, 413, 415, 422)
_EXAMPLES_PER_RUN = 60

_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["\x00", "\u202e", "WP01\n", "١", "doing", "0" * 300]),
    st.just([]),
    st.just({}),
    st.just([[[[{}]]]]),
)
_steps = st.tuples(
    st.sampled_from(["drop", "retype", "wrap", "rename", "twice", "element"]),
    st.integers(0, 40),
    _values,
)


def fuzz_batches(probe: Probe, examples: int = _EXAMPLES_PER_RUN) -> None:
    """Send mutated batches; each is answered 200 or 4xx, with one result per event on 200.

    Hypothesis shrinks a failure to the smallest mutation; only that one is left in the probe.
    """

    @seed(int.from_bytes(probe.around.namespace.digest("fuzz")[:8], "big"))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        verbosity=Verbosity.quiet,
    )
    @given(
        names=st.lists(st.sampled_from([found.name for found in EXAMPLES]), min_size=1, max_size=3),
        steps=st.lists(_steps, min_size=1, max_size=3),
    )
    def send(names: list[str], steps: list[tuple[str, int, Any]]) -> None:
        probe.exchanges.clear()
        batch: list[Any] = [probe.make.event(name) for name in names]
        for kind, place, value in steps:
            mutate(batch, kind, place, value)
        reply = probe.post(batch, note=" then ".join(kind for kind, _, _ in steps))
        _judge(reply, batch)

    send()


def mutate(batch: list[Any], kind: str, place: int, value: Any) -> None:
    """Change *batch* in one place, chosen by the number *place*."""
    index = place % len(batch)
    if kind == "element":
        batch.insert(index, copy.deepcopy(value))
        return
    event = batch[index]
    if not isinstance(event, dict) or not event:
        return
    target = event
    if place % 3 == 0 and isinstance(event.get("payload"), dict) and event["payload"]:
        target = event["payload"]
    _change(target, kind, sorted(target)[place % len(target)], value)


def _change(target: JsonObject, kind: str, key: str, value: Any) -> None:
    if kind == "drop":
        del target[key]
    elif kind == "wrap":
        target[key] = [target[key]]
    elif kind == "rename":
        target[key.upper()] = target.pop(key)
    elif kind == "twice":
        target[key] = {"a": target[key], "b": target[key]}
    else:
        target[key] = copy.deepcopy(value)


def _judge(reply: Reply, batch: list[Any]) -> None:
    reply.expect_status(*_ALLOWED, means="an input that nobody thought of takes it down")
    if reply.status != 200:
        return
    rows = reply.expect_results()
    if len(rows) != len(batch):
        raise reply.fail(f"{len(batch)} results", f"{len(rows)} results")
    for row in rows:
        if row.get("status") not in STATUSES:
            raise reply.fail("statuses of the contract", f"status {row.get('status')!r}")
