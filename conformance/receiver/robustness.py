"""ROB, SEC: whatever arrives, the receiver answers, lives on and gives nothing away."""

from spec_kitty_sync.conformance.builder import batch_bytes
from spec_kitty_sync.conformance.edits import Edit
from spec_kitty_sync.conformance.exchange import Request
from spec_kitty_sync.conformance.meaning import BODY_BLURRED, TAKES_DOWN
from spec_kitty_sync.conformance.negatives import one_by_one
from spec_kitty_sync.conformance.probe import REFUSED, TAKEN, Probe
from spec_kitty_sync.conformance.reply import CheckFailed
from spec_kitty_sync.conformance.suite import Case, check

_NO_BATCH = {
    "unclosed": b"{",
    "array": b"[]",
    "null": b"null",
    "string": b'""',
    "no-events": b"{}",
    "events-object": b'{"events":{}}',
    "events-null": b'{"events":null}',
    "events-string": b'{"events":"none"}',
    "number": b"17",
    "empty": b"",
    "blank": b"  \n",
    "cut-off": b'{"events":[{"event_id":"01',
    "two-values": b'{"events":[]}{"events":[]}',
    "words-after": b'{"events":[]} and so on',
    "binary": bytes(range(256)),
    "form": b"events=%5B%5D",
}


@check("SKR-ROB-01", *(Case(name, {"body": body}) for name, body in _NO_BATCH.items()))
def no_batch_is_400(probe: Probe, case: Case) -> None:
    reply = probe.post(body=case["body"], note=case.name)
    means = {"2xx": "bytes that are no batch get past the parser", "5xx": TAKES_DOWN}
    reply.expect_error(400, means={**means, "": BODY_BLURRED})


@check("SKR-ROB-02", Case("bodies"), Case("events"), Case("requests"))
def after_every_insult_a_valid_event(probe: Probe, case: Case) -> None:
    if case.name == "bodies":
        for body in _NO_BATCH.values():
            probe.post(body=body, note="an insult")
            _still_alive(probe)
    elif case.name == "events":
        for value in (None, 7, [], {}, "x" * 70_000, -1, 1e300):
            for field in ("event_type", "payload", "lamport_clock", "event_id"):
                probe.post([probe.make.event(**{field: value})], note=f"{field} = an insult")
        _still_alive(probe)
    else:
        for method, path in (("GET", "/"), ("POST", "/"), ("OPTIONS", "/api/"), ("POST", "/%00")):
            probe.send(Request(method, path, probe.head()))
        _still_alive(probe)


def _still_alive(probe: Probe) -> None:
    event = probe.make.event()
    reply = probe.post([event], note="a valid event after it")
    probe.taken(reply, [event], "the insult left the receiver unable to take valid events")


@check("SKR-ROB-03")
def mutated_batches_are_answered(probe: Probe, case: Case) -> None:
    from spec_kitty_sync.conformance.fuzz import fuzz_batches

    fuzz_batches(probe)


@check("SKR-ROB-04")
def random_story_ends_as_the_model_says(probe: Probe, case: Case) -> None:
    from spec_kitty_sync.conformance.machine import run_stories

    run_stories(probe)


_INJECTIONS = {
    "sql": "Robert'); DROP TABLE events;--",
    "sql-union": "' UNION SELECT token FROM users --",
    "json": '"},{"event_id":"x"',
    "template": "{{7*7}} ${7*7} <%= 7*7 %>",
    "log": "line one\r\n2026-01-01 ERROR forged line",
    "html": "<script>alert(1)</script>",
    "path": "../../../../etc/passwd",
    "format": "%s%s%s%n %(token)s {0.__class__}",
}


@check("SKR-SEC-01", *(Case(name, {"text": text}) for name, text in _INJECTIONS.items()))
def injection_is_data(probe: Probe, case: Case) -> None:
    line = case["text"].replace("\r\n", " ")
    edits = [
        Edit(case.name, "payload.entry_content", case["text"]),
        Edit(case.name, "node_id", line),
        Edit(case.name, "aggregate_id", line),
    ]
    event = probe.make.event("HistoryAdded")
    for edit in edits:
        event = edit.apply(event)
    reply = probe.post([event], note=case.name)
    try:
        probe.taken(reply, [event], "text is taken for something else than text")
    except CheckFailed as failed:
        raise failed.beside(one_by_one(probe, edits)) from None
    means = {"rejected": "the text changed on its way: the same event looks like another"}
    probe.repeated(probe.post([event], note="again"), [event], means)
    _still_alive(probe)


@check("SKR-SEC-02", Case("good-token"), Case("wrong-token"), Case("bad-body"))
def token_is_never_echoed(probe: Probe, case: Case) -> None:
    token = "sk-canary-7d1f" if case.name == "wrong-token" else (probe.around.token or "")
    body = b"{" if case.name == "bad-body" else batch_bytes(probe.make.events(1))
    reply = probe.post(body=body, token=token, note=case.name).expect_answer()
    answer = reply.exchange.response
    said = reply.text + "".join(
        f"{key}{value}" for key, value in (answer.headers if answer else ())
    )
    if token and token in said:
        raise reply.fail("an answer without the token in it", "the token itself")


_SPECIAL = ("__proto__", "constructor", "toString", "$where", "__class__")


@check(
    "SKR-SEC-03",
    *(Case(name) for name in _SPECIAL),
    *(Case(f"type-{name}", {"type": name}) for name in _SPECIAL),
)
def special_names_are_inert(probe: Probe, case: Case) -> None:
    if case.values:
        event = probe.make.event(event_type=case["type"])
        reply = probe.post([event], note=f"event_type {case['type']}")
        reply.expect_outcome(event, TAKEN | REFUSED, "a name takes the request down")
        _still_alive(probe)
        return
    event = probe.make.event()
    event["payload"][case.name] = {"polluted": True, "toString": "x"}
    event[case.name] = {"status": "rejected"}
    reply = probe.post([event], note=f"keys {case.name}")
    reply.expect_outcome(event, TAKEN | REFUSED, "a key takes the request down")
    _still_alive(probe)
