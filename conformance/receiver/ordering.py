"""ORD: in which order events arrive says nothing about them."""

from spec_kitty_sync.conformance.builder import batch_bytes
from spec_kitty_sync.conformance.probe import Probe
from spec_kitty_sync.conformance.suite import Case, check

_NO_FLOAT = 2**53 + 1
"""An integer that becomes another one in a reader that knows floating point only."""


@check("SKR-ORD-01", Case("clock"), Case("timestamp"))
def order_is_no_ground_for_refusal(probe: Probe, case: Case) -> None:
    events = probe.make.events(4)
    for place, event in enumerate(events):
        if case.name == "clock":
            event["lamport_clock"] = 100 - place
        else:
            event["timestamp"] = f"2026-02-0{9 - place}T10:00:00Z"
    reply = probe.post(events, note=f"{case.name}s run backwards within the batch")
    probe.taken(reply, events, f"an earlier {case.name} after a later one is refused")
    late = probe.make.event("HistoryAdded", lamport_clock=0, timestamp="2025-01-01T00:00:00Z")
    reply = probe.post([late], note="a much older event in a later batch")
    probe.taken(reply, [late], "what was captured before, but sent later, is refused")


@check("SKR-ORD-02", Case("gap"), Case("same-node-same-clock"), Case("two-nodes"), Case("restart"))
def clocks_may_jump_and_repeat(probe: Probe, case: Case) -> None:
    clocks = {"gap": (1, 900_000), "restart": (500, 1)}.get(case.name, (7, 7))
    first, second = probe.make.events(2)
    first["lamport_clock"], second["lamport_clock"] = clocks
    if case.name == "two-nodes":
        second["node_id"] = "0123456789ab"
    probe.taken(probe.post([first]), [first])
    reply = probe.post([second], note=f"lamport_clock {clocks[1]} after {clocks[0]}")
    probe.taken(reply, [second], f"clock values are taken for unique or growing ({case.name})")


@check("SKR-ORD-03", Case("one-batch"), Case("two-batches"), Case("unknown-parent"))
def effect_before_cause(probe: Probe, case: Case) -> None:
    cause, effect = probe.make.event(), probe.make.event()
    effect["causation_id"] = cause["event_id"]
    means = "an event is refused because its parent has not arrived yet"
    if case.name == "one-batch":
        reply = probe.post([effect, cause], note="effect first")
        probe.taken(reply, [effect, cause], means)
        return
    probe.taken(probe.post([effect], note="the effect alone"), [effect], means)
    if case.name == "two-batches":
        probe.taken(probe.post([cause], note="then its cause"), [cause])


@check(
    "SKR-ORD-04",
    Case("1970", {"when": "1970-01-01T00:00:00Z"}),
    Case("2099", {"when": "2099-12-31T23:59:59Z"}),
    Case("equal", {"when": "2026-02-01T10:00:00Z"}),
)
def wall_clock_is_informational(probe: Probe, case: Case) -> None:
    events = probe.make.events(2)
    for event in events:
        event["timestamp"] = case["when"]
    reply = probe.post(events, note=f"two events of {case['when']}")
    probe.taken(reply, events, "a producer whose clock is wrong is locked out")


@check("SKR-ORD-06")
def stored_event_is_what_was_sent(probe: Probe, case: Case) -> None:
    event = probe.make.event(
        "HistoryAdded",
        timestamp="2026-02-01T10:00:00.5+05:30",
        x_tomorrow=[1.0, _NO_FLOAT, "é", None],
    )
    probe.taken(probe.post(body=batch_bytes([event])), [event])
    stored = probe.read_back(event["event_id"])
    changed = sorted(key for key in event if stored.get(key) != event[key])
    if changed:
        raise probe.last.fail(
            "every field as it was sent",
            f"{changed[0]} = {stored.get(changed[0])!r} instead of {event[changed[0]]!r}",
        )
