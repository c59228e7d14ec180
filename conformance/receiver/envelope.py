"""ENV: every envelope field, damaged one at a time."""

from typing import Any

from spec_kitty_sync.conformance.builder import JsonObject, batch_bytes
from spec_kitty_sync.conformance.edits import Edit
from spec_kitty_sync.conformance.negatives import refuse_each
from spec_kitty_sync.conformance.probe import REFUSED, TAKEN, Probe
from spec_kitty_sync.conformance.reply import reason_of
from spec_kitty_sync.conformance.suite import Case, check

_REQUIRED = [
    "event_type",
    "aggregate_id",
    "aggregate_type",
    "payload",
    "timestamp",
    "node_id",
    "lamport_clock",
    "project_uuid",
]
_NOT_TEXT: dict[str, Any] = {"number": 7, "true": True, "object": {"a": 1}, "list": ["a"]}
_WRONG_TYPES: dict[str, dict[str, Any]] = {
    **{
        name: _NOT_TEXT
        for name in [
            "event_type",
            "aggregate_id",
            "aggregate_type",
            "timestamp",
            "node_id",
            "project_uuid",
            "causation_id",
            "correlation_id",
            "project_slug",
            "team_slug",
            "schema_version",
        ]
    },
    "lamport_clock": {"text": "7", "object": {}, "list": [1], "null": None},
    "data_tier": {"text": "1", "object": {}, "fraction": 1.5, "five": 5, "negative": -1},
}
_OPTIONAL = ("causation_id", "project_slug", "team_slug")


def _edits(field: str, values: dict[str, Any]) -> list[Edit]:
    return [Edit(f"{field}-{name}", field, value) for name, value in values.items()]


@check("SKR-ENV-01", *(Case(name) for name in _REQUIRED))
def missing_field_is_rejected(probe: Probe, case: Case) -> None:
    refuse_each(
        probe,
        probe.make.event,
        [Edit("missing", case.name), Edit("null", case.name, None)],
    )


@check("SKR-ENV-02", *(Case(name, {"values": values}) for name, values in _WRONG_TYPES.items()))
def wrong_type_is_rejected(probe: Probe, case: Case) -> None:
    refuse_each(probe, probe.make.event, _edits(case.name, case["values"]))


def _bad_ids(good: str) -> dict[str, str]:
    return {
        "25-characters": good[:-1],
        "27-characters": good + "0",
        "letter-I": good[:-1] + "I",
        "letter-L": good[:-1] + "L",
        "letter-O": good[:-1] + "O",
        "letter-U": good[:-1] + "U",
        "lower-case": good.lower(),
        "arabic-digit": good[:-1] + "٠",
        "full-width": good[:-1] + "０",
        "newline-after": good + "\n",
        "blank-before": " " + good[:-1],
        "uuid": "5b8a1f6e-3c1d-4f6a-9d2e-0a1b2c3d4e5f",
        "empty": "",
    }


@check("SKR-ENV-03", *(Case(name) for name in _bad_ids("0" * 26)))
def id_that_is_no_ulid_is_rejected(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    event["event_id"] = _bad_ids(event["event_id"])[case.name]
    good = probe.make.event()
    reply = probe.post([event, good], note=f"event_id {case.name}").expect_answer()
    if reply.status == 400:
        reply.expect_error(400)
        return
    probe.refused(reply, event, "an id that is no ULID is stored")
    probe.taken(reply, [good], "the event beside it pays for it")


@check("SKR-ENV-04", Case("first-8"), Case("first-Z"))
def ulid_over_128_bits_is_rejected(probe: Probe, case: Case) -> None:
    event = probe.make.event()
    event["event_id"] = case.name[-1] + event["event_id"][1:]
    probe.refused(probe.post([event]), event, "an id of more than 128 bits is stored")


@check(
    "SKR-ENV-05", Case("wrong"), Case("zero", {"value": 0}), Case("2^53-1", {"value": 2**53 - 1})
)
def lamport_clock_is_a_whole_number(probe: Probe, case: Case) -> None:
    if case.name == "wrong":
        values = {"negative": -1, "fraction": 1.5, "text": "1", "true": True, "false": False}
        refuse_each(probe, probe.make.event, _edits("lamport_clock", values))
        return
    event = probe.make.event(lamport_clock=case["value"])
    probe.taken(probe.post([event]), [event], f"a lamport_clock of {case['value']} is refused")


@check(
    "SKR-ENV-06", Case("2^63", {"text": b"9223372036854775808"}), Case("1e400", {"text": b"1e400"})
)
def huge_clock_is_refused_not_500(probe: Probe, case: Case) -> None:
    event = probe.make.event(lamport_clock=123456789)
    body = batch_bytes([event]).replace(b"123456789", case["text"])
    reply = probe.post(body=body, note=f"lamport_clock {case.name}")
    reply.expect_status(200, 400, 422, means="one large number takes it down")
    if reply.status == 200 and case.name == "1e400":
        probe.refused(reply, event, "a number that is none is taken")


_BAD_TIMES = {
    "no-zone": "2026-02-01T10:00:00",
    "date-only": "2026-02-01",
    "word": "yesterday",
    "empty": "",
    "no-such-day": "2026-02-30T10:00:00Z",
    "no-such-hour": "2026-02-01T25:00:00Z",
    "blank-for-T": "2026-02-01 10:00:00Z",
    "lower-case-z": "2026-02-01T10:00:00z",
    "newline-after": "2026-02-01T10:00:00Z\n",
    "epoch": "1770000000",
    "basic-format": "20260201T100000Z",
    "zone-name": "2026-02-01T10:00:00 UTC",
}
_GOOD_TIMES = {
    "Z": "2026-02-01T10:00:00Z",
    "offset": "2026-02-01T10:00:00+05:30",
    "negative-offset": "2026-02-01T10:00:00-08:00",
    "milliseconds": "2026-02-01T10:00:00.123Z",
    "microseconds": "2026-02-01T10:00:00.123456+00:00",
    "nanoseconds": "2026-02-01T10:00:00.123456789Z",
    "leap-day": "2024-02-29T23:59:59Z",
}


@check(
    "SKR-ENV-07", Case("wrong"), *(Case(name, {"text": text}) for name, text in _GOOD_TIMES.items())
)
def timestamps_are_rfc_3339(probe: Probe, case: Case) -> None:
    if case.name == "wrong":
        refuse_each(probe, probe.make.event, _edits("timestamp", dict(_BAD_TIMES)))
        return
    event = probe.make.event(timestamp=case["text"])
    probe.taken(probe.post([event]), [event], f"the legal timestamp {case['text']} is refused")


@check("SKR-ENV-08", Case("wrong"), Case("upper-case"))
def project_uuid_is_v4_with_hyphens(probe: Probe, case: Case) -> None:
    good = probe.around.namespace.project_uuid()
    if case.name == "upper-case":
        event = probe.make.event(project_uuid=good.upper())
        reply = probe.post([event], note="upper-case hexadecimal")
        reply.expect_outcome(event, TAKEN | REFUSED)
        return
    values = {
        "nil": "00000000-0000-0000-0000-000000000000",
        "version-1": good[:14] + "1" + good[15:],
        "version-7": good[:14] + "7" + good[15:],
        "wrong-variant": good[:19] + "7" + good[20:],
        "braces": "{" + good + "}",
        "urn": "urn:uuid:" + good,
        "no-hyphens": good.replace("-", ""),
        "cut": good[:-1],
        "newline-after": good + "\n",
        "word": "my-project",
        "empty": "",
    }
    refuse_each(probe, probe.make.event, _edits("project_uuid", values))


@check("SKR-ENV-09", Case("null"), Case("known-parent"), Case("malformed"))
def causation_is_null_or_ulid(probe: Probe, case: Case) -> None:
    if case.name == "malformed":
        refuse_each(probe, probe.make.event, _edits("causation_id", _no_ulids(probe)))
        return
    parent = probe.make.event()
    child = probe.make.event(causation_id=None if case.name == "null" else parent["event_id"])
    kind = "of which nothing is the cause" if case.name == "null" else "whose cause is known"
    probe.taken(probe.post([parent, child]), [parent, child], f"an event {kind} is refused")


def _no_ulids(probe: Probe) -> dict[str, Any]:
    good = probe.make.new_id()
    return {
        "word": "zz",
        "empty": "",
        "lower-case": good.lower(),
        "letter-U": good[:-1] + "U",
        "newline-after": good + "\n",
    }


@check("SKR-ENV-10", *(Case(name) for name in (*_OPTIONAL, "all")))
def null_is_absent(probe: Probe, case: Case) -> None:
    fields = _OPTIONAL if case.name == "all" else (case.name,)
    with_null = probe.make.event(**dict.fromkeys(fields))
    without = probe.make.event()
    for field in fields:
        without.pop(field, None)
    reply = probe.post([with_null, without], note=f"{case.name}: once null, once absent")
    probe.taken(reply, [with_null], f"{case.name} = null is refused")
    probe.taken(reply, [without], f"{case.name} absent is refused")


@check("SKR-ENV-11")
def unknown_aggregate_is_rejected(probe: Probe, case: Case) -> None:
    values = {
        "unknown": "Sprint",
        "lower-case": "workpackage",
        "empty": "",
        "blank": "Work Package",
    }
    refuse_each(probe, probe.make.event, _edits("aggregate_type", values))


@check(
    "SKR-ENV-12", Case("misspelt", {"type": "WPStatusChangd"}), Case("new", {"type": "SkUnheardOf"})
)
def unknown_type_is_rejected_by_name(probe: Probe, case: Case) -> None:
    event = probe.make.event("HistoryAdded", event_type=case["type"])
    reply = probe.post([event, probe.make.event()], note=f"event_type {case['type']}")
    row = probe.refused(reply, event, "an event of a type that nobody defined is stored")
    if case["type"] not in reason_of(row) and "event_type" not in reason_of(row):
        raise reply.fail(
            f"a reason that names {case['type']!r} or event_type",
            f"the reason {reason_of(row)!r}",
            "the operator is not told which type it is that nobody knows",
            about=event["event_id"],
        )


@check("SKR-ENV-13")
def extra_fields_are_accepted(probe: Probe, case: Case) -> None:
    extra: JsonObject = {
        "build_id": "",
        "git_branch": "main",
        "head_commit_sha": None,
        "repo_slug": "acme/widgets",
        "drain_blocked_reason": "no_auth",
        "x_tomorrow": {"nested": [1, 2.5, None]},
    }
    event = probe.make.event(**extra)
    probe.taken(probe.post([event]), [event], "fields that released producers send are refused")


@check("SKR-ENV-15")
def payload_is_an_object(probe: Probe, case: Case) -> None:
    values = {"null": None, "list": [], "text": "{}", "number": 1, "true": True}
    refuse_each(probe, probe.make.event, _edits("payload", values))


@check("SKR-ENV-16", Case("event_type"), Case("lamport_clock"))
def duplicate_keys_have_one_answer(probe: Probe, case: Case) -> None:
    statuses = set()
    old, new = {
        "event_type": (b'"event_type":', b'"event_type":"SkNoSuchType","event_type":'),
        "lamport_clock": (b'"lamport_clock":', b'"lamport_clock":"x","lamport_clock":'),
    }[case.name]
    for _ in range(3):
        event = probe.make.event("HistoryAdded")
        body = batch_bytes([event]).replace(old, new, 1)
        reply = probe.post(body=body, note=f"{case.name} stands twice")
        reply.expect_status(200, 400, 422)
        statuses.add(reply.status_of(event["event_id"]) or reply.status)
    if len(statuses) > 1:
        raise reply.fail("one answer to the same damage", f"{sorted(map(str, statuses))}")


@check("SKR-ENV-17", Case("identity"), Case("schema-3"), Case("newer-minor"))
def older_producers_are_accepted(probe: Probe, case: Case) -> None:
    event = probe.make.event(team_slug="local")
    if case.name == "identity":
        for field in ("correlation_id", "schema_version", "data_tier", "causation_id"):
            event.pop(field, None)
    else:
        event["schema_version"] = "3.0.0" if case.name == "schema-3" else "1.7.2"
    reply = probe.post([event], note=f"as a producer of kind {case.name} sends it")
    probe.taken(reply, [event], f"a producer of this kind ({case.name}) is refused")


@check("SKR-ENV-18")
def unknown_major_is_rejected(probe: Probe, case: Case) -> None:
    values = {"major-2": "2.0.0", "major-9": "9.1.0", "two-parts": "1.0", "word": "latest"}
    values["newline-after"] = "1.0.0\n"
    refuse_each(probe, probe.make.event, _edits("schema_version", values))


@check("SKR-ENV-19", *(Case(name) for name in ("event_type", "aggregate_id", "node_id")))
def empty_text_is_rejected(probe: Probe, case: Case) -> None:
    refuse_each(probe, probe.make.event, [Edit("empty", case.name, "")])


@check("SKR-ENV-20")
def correlation_is_a_ulid(probe: Probe, case: Case) -> None:
    refuse_each(probe, probe.make.event, _edits("correlation_id", _no_ulids(probe)))
