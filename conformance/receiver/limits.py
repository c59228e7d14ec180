"""LIM: how much is too much, and what is said then."""

import gzip
import json

from spec_kitty_sync.conformance.builder import JsonObject, batch_bytes
from spec_kitty_sync.conformance.meaning import OVER_LIMIT, TAKES_DOWN
from spec_kitty_sync.conformance.probe import REFUSED, TAKEN, NotApplicable, Probe
from spec_kitty_sync.conformance.suite import Case, check

_MIB = 1024 * 1024
_BOMB_BYTES, _LARGEST_BOMB_BYTES = 64 * _MIB, 256 * _MIB
_CONTRACT_EVENT_BYTES = 256 * 1024
_QUICK_MS = 5_000


def _sized(event: JsonObject, size: int) -> JsonObject:
    """Return *event* with an extra payload key that makes its JSON *size* bytes long."""
    event["payload"]["x_filler"] = ""
    bare = len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())
    event["payload"]["x_filler"] = "f" * (size - bare)
    return event


@check("SKR-LIM-01")
def advertised_number_is_accepted(probe: Probe, case: Case) -> None:
    events = probe.make.events(probe.around.max_events)
    known = "advertised" if "max_batch_events" in probe.around.limits else "contract's"
    note = f"{len(events)} events: the {known} max_batch_events"
    reply = probe.post(events, patient=True, note=note)
    rows = reply.expect_results("a full batch is refused: every long queue goes in halves or stops")
    if len(rows) != len(events):
        raise reply.fail(f"{len(events)} results", f"{len(rows)} results")
    probe.taken(reply, events, "part of a full batch is cut off")


@check("SKR-LIM-02")
def one_more_is_refused_whole(probe: Probe, case: Case) -> None:
    events = probe.make.events(probe.around.max_events + 1)
    reply = probe.post(events, patient=True, note=f"{len(events)} events")
    means = {"2xx": "the surplus is dropped or taken without a word", "5xx": TAKES_DOWN}
    reply.expect_error(400, 413, means=means)
    sample = [events[0], events[-2], events[-1]]
    reply = probe.post(sample, note="first and last of them, alone")
    probe.taken(reply, sample, {"duplicate": "part of the refused batch was stored"})


@check("SKR-LIM-03")
def one_large_event_is_refused_for_good(probe: Probe, case: Case) -> None:
    size = _limit(probe, "max_event_bytes") + 1
    event = _sized(probe.make.event(), size)
    reply = probe.post([event], patient=True, note=f"one event of {size} bytes")
    reply.expect_status(200, 413, means="the sender cannot tell that the size is the trouble")
    if reply.status == 200:
        reply.expect_outcome(
            event,
            {"failed_permanent"},
            {
                "success": OVER_LIMIT,
                "": "the sender is told to try again, although it can never succeed",
            },
        )


@check("SKR-LIM-04")
def large_body_is_refused_and_its_halves_taken(probe: Probe, case: Case) -> None:
    limit = _limit(probe, "max_body_bytes")
    largest = probe.around.limits.get("max_event_bytes", _CONTRACT_EVENT_BYTES)
    each = min(largest - 16, limit // 4)
    events = [_sized(probe.make.event(), each) for _ in range(limit // each + 1)]
    reply = probe.post(events, patient=True, note=f"{len(events)} events, over {limit} bytes")
    means = {"2xx": "the advertised size of a body is not enforced", "5xx": TAKES_DOWN}
    reply.expect_error(400, 413, means=means)
    half = len(events) // 2
    for part in (events[:half], events[half:]):
        reply = probe.post(part, patient=True, note="one half of it")
        probe.taken(reply, part, "legal events can never be delivered, however they are split")


@check("SKR-LIM-05", Case("at-the-limit", {"over": 0}), Case("one-byte-less", {"over": -1}))
def advertised_size_is_accepted(probe: Probe, case: Case) -> None:
    size = _limit(probe, "max_event_bytes") + case["over"]
    event = _sized(probe.make.event(), size)
    reply = probe.post([event], patient=True, note=f"one event of {size} bytes")
    probe.taken(reply, [event], "an event that health allows is refused")


@check("SKR-LIM-06")
def bomb_is_refused_quickly(probe: Probe, case: Case) -> None:
    size = max(_BOMB_BYTES, probe.around.limits.get("max_body_bytes", 0) + _MIB)
    if size > _LARGEST_BOMB_BYTES:
        raise NotApplicable(f"health allows bodies of {size - _MIB} bytes: nothing is a bomb to it")
    bomb = gzip.compress(b'{"events":[' + b" " * size + b"]}", 9)
    note = f"{size // _MIB} MiB in {len(bomb) // 1024} KiB of gzip"
    reply = probe.post(body=bomb, encoding="gzip", packed=True, patient=True, note=note)
    means = {"2xx": "a small body that unpacks to a huge one is taken", "5xx": TAKES_DOWN}
    reply.expect_error(400, 413, means=means)
    if reply.exchange.elapsed_ms > _QUICK_MS:
        raise reply.fail("an answer within 5 s", f"one after {reply.exchange.elapsed_ms:.0f} ms")
    event = probe.make.event()
    probe.taken(probe.post([event], note="a valid event after it"), [event])


@check("SKR-LIM-07")
def throttling_says_when(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    probe.waits_when_throttled = False
    for _ in range(60):
        reply = probe.post([event], note="sixty in a row")
        if reply.status == 429:
            break
        reply.expect_outcome(
            event,
            TAKEN | {"duplicate"},
            {
                "5xx": "load is answered as an outage, not with 429 and a time to wait",
                "4xx": "load is answered as a fault of the sender's own: it stops",
                "": "an event is refused for load as if it were bad, and is lost",
            },
        )
    else:
        raise NotApplicable("sixty batches in a row were not throttled")
    reply.expect_error(429)
    if not reply.header("Retry-After"):
        raise reply.fail("a Retry-After header", "none")


_DEEP = 100_000


@check(
    "SKR-LIM-08",
    Case("deep-list", {"value": b"[" * _DEEP + b"]" * _DEEP}),
    Case("deep-object", {"value": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP}),
    Case("long-text", {"value": b'"' + b"x" * 10_000_000 + b'"'}),
    Case("long-number", {"value": b"9" * 100_000}),
)
def deep_and_huge_values_are_refused(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    event["payload"]["x_filler"] = "HERE"
    body = batch_bytes([event]).replace(b'"HERE"', case["value"])
    reply = probe.post(body=body, patient=True, note=case.name)
    reply.expect_status(200, 400, 413, 422, means="one value takes it down")
    if reply.status == 200:
        reply.expect_outcome(event, REFUSED | TAKEN)
    event = probe.make.event()
    probe.taken(probe.post([event], note="a valid event after it"), [event])


def _limit(probe: Probe, name: str) -> int:
    found = probe.around.limits.get(name)
    if found is None:
        raise NotApplicable(f"health does not say {name}")
    return found
