"""ERR: what is said when something is refused."""

import re

from spec_kitty_sync.conformance.builder import EXAMPLES, JsonObject, example
from spec_kitty_sync.conformance.edits import Edit, conditional_rules, done_payload, missing_fields
from spec_kitty_sync.conformance.exchange import Request
from spec_kitty_sync.conformance.meaning import BODY_BLURRED, OVER_LIMIT, TAKES_DOWN
from spec_kitty_sync.conformance.negatives import name_each
from spec_kitty_sync.conformance.probe import NotApplicable, Probe
from spec_kitty_sync.conformance.reply import Reply, reason_of
from spec_kitty_sync.conformance.suite import Case, check

_BODIES = {
    "not-json": b"{",
    "not-an-object": b"[]",
    "no-events": b"{}",
    "events-number": b'{"events":1}',
    "empty": b"",
}
_SIZE_WORDS = re.compile(r"too large|oversized|payload too|entity too", re.IGNORECASE)
_INSIDES = re.compile(
    r"Traceback \(most recent|File \"/|site-packages|\bSELECT .+ FROM\b|INSERT INTO"
    r"|sqlite3\.|psycopg|at [\w$.]+ \(/|/home/\w+/|node_modules",
)


def _broken(probe: Probe) -> JsonObject:
    event = probe.make.event("HistoryAdded")
    del event["payload"]["entry_content"]
    return event


@check("SKR-ERR-01", *(Case(name, {"body": body}) for name, body in _BODIES.items()))
def every_400_has_error_and_details(probe: Probe, case: Case) -> None:
    reply = probe.post(body=case["body"], note=case.name)
    body = reply.expect_error(400, means={"5xx": TAKES_DOWN, "": BODY_BLURRED})
    if not isinstance(body.get("details"), str | list) or not body["details"]:
        raise reply.fail(
            '"details": text, or a list of {event_id, error|reason}',
            f'"details" is {body.get("details")!r}',
            "without details the sender bisects the batch to find a culprit that is not there",
        )


@check("SKR-ERR-02")
def listed_details_name_their_event(probe: Probe, case: Case) -> None:
    reply = probe.post(body=b'{"events":[null,7]}', note="elements that are no events")
    body = reply.json
    details = body.get("details") if isinstance(body, dict) and reply.status == 400 else None
    for row in details if isinstance(details, list) else []:
        if not isinstance(row, dict) or not (row.get("error") or row.get("reason")):
            raise reply.fail("details with event_id and error or reason", f"{row!r}")


@check("SKR-ERR-03", Case("wrong-method"), Case("no-token"), Case("bad-body"))
def every_other_answer_is_json(probe: Probe, case: Case) -> None:
    path = probe.around.address.batch_path
    if case.name == "wrong-method":
        reply = probe.send(Request("DELETE", path, probe.head()))
    elif case.name == "no-token":
        reply = probe.post([probe.make.event()], token=None)
    else:
        reply = probe.post(body=b"\x00\x01\x02")
    reply.expect_answer()
    if reply.status == 200:
        return
    if not isinstance(reply.json, dict) or not reply.json.get("error"):
        raise reply.fail('a JSON object with "error"')


@check("SKR-ERR-04")
def rejection_has_a_category(probe: Probe, case: Case) -> None:
    event = _broken(probe)
    reply = probe.post([event], note="entry_content is missing")
    row = probe.refused(reply, event)
    category = row.get("error_category")
    if not isinstance(category, str) or not category:
        raise reply.fail(
            'error_category, here "schema_mismatch"',
            f"error_category {category!r}",
            about=event["event_id"],
        )


@check("SKR-ERR-05")
def size_words_are_kept_for_size(probe: Probe, case: Case) -> None:
    event = _broken(probe)
    reply = probe.post([event], note="entry_content is missing")
    reason = reason_of(probe.refused(reply, event))
    if _SIZE_WORDS.search(reason):
        raise reply.fail("a reason that does not speak of size", f"{reason!r}")


@check("SKR-ERR-06")
def bad_content_is_no_transient_failure(probe: Probe, case: Case) -> None:
    event = _broken(probe)
    reply = probe.post([event], note="entry_content is missing")
    means = {"failed_transient": "the sender tries a hopeless event for ever"}
    row = probe.refused(reply, event, means)
    if row.get("error_category") == "server_error":
        raise reply.fail(
            "no category server_error for bad content",
            'error_category "server_error"',
            "rejected + server_error means: try again",
            about=event["event_id"],
        )


_ENVELOPE = [
    Edit("timestamp", "timestamp", "yesterday"),
    Edit("lamport_clock", "lamport_clock", -1),
    Edit("project_uuid", "project_uuid", "my-project"),
    Edit("aggregate_type", "aggregate_type", "Sprint"),
    Edit("node_id", "node_id"),
    Edit("payload", "payload", []),
    Edit("schema_version", "schema_version", "9.0.0"),
    Edit("causation_id", "causation_id", "parent"),
]


@check("SKR-ERR-07", Case("envelope"), Case("conditions"), *(Case(one.name) for one in EXAMPLES))
def reason_names_the_wrong_field(probe: Probe, case: Case) -> None:
    if case.name == "envelope":
        name_each(probe, probe.make.event, _ENVELOPE)
    elif case.name == "conditions":
        shape = "WPStatusChanged.status_transition"
        edits = [edit for _, edit in conditional_rules()]
        name_each(probe, lambda: probe.make.event(shape, payload=done_payload()), edits)
    else:
        edits = [edit for edit in missing_fields(example(case.name)) if edit.is_removal]
        name_each(probe, lambda: probe.make.event(case.name), edits)


@check("SKR-ERR-08", Case("not-json"), Case("wrong-types"), Case("unknown-path"), Case("quotes"))
def answers_show_no_insides(probe: Probe, case: Case) -> None:
    reply = _provoke(probe, case.name).expect_answer()
    found = _INSIDES.search(reply.text)
    if found:
        raise reply.fail("no stack trace, SQL or file path in the answer", f"{found[0]!r}")


def _provoke(probe: Probe, how: str) -> Reply:
    if how == "not-json":
        return probe.post(body=b'{"events":[{"event_id":')
    if how == "wrong-types":
        return probe.post([probe.make.event(event_type={"a": 1}, node_id=[])])
    if how == "quotes":
        return probe.post([probe.make.event(node_id="'; DROP TABLE events; --", payload=None)])
    return probe.send(Request("GET", f"{probe.around.address.batch_path}'%00", probe.head()))


@check("SKR-ERR-09")
def reasons_are_short(probe: Probe, case: Case) -> None:
    event = _broken(probe)
    event["payload"]["entry_type"] = "x" * 20_000
    reply = probe.post([event], note="a wrong word of 20,000 characters")
    reason = reason_of(probe.refused(reply, event))
    if len(reason) > 500:
        raise reply.fail("a reason of at most 500 characters", f"{len(reason)} characters")


@check("SKR-ERR-10")
def hopeless_event_is_failed_permanent(probe: Probe, case: Case) -> None:
    limit = probe.around.limits.get("max_event_bytes")
    if limit is None:
        raise NotApplicable("health does not say max_event_bytes")
    event = probe.make.event("HistoryAdded")
    event["payload"]["entry_content"] = "f" * limit
    reply = probe.post([event], patient=True, note=f"one event of more than {limit} bytes")
    if reply.expect_status(200, 413).status == 200:
        reply.expect_outcome(
            event,
            {"failed_permanent"},
            {"success": OVER_LIMIT, "": "the sender tries again what can never succeed"},
        )
