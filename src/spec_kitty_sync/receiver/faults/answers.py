"""Faults in what is answered: results, statuses, error bodies, health."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from spec_kitty_sync.receiver.faults.seams import (
    Fault,
    Fields,
    each_result,
    refusals,
    replies,
    requests,
    result_list,
    status,
)
from spec_kitty_sync.receiver.parts import Parts, Reply


def _without(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}


def _shifted(results: list[Fields]) -> list[Fields]:
    """Return the results with each outcome under the next event's id."""
    ids = [each["event_id"] for each in results]
    return [
        {**each, "event_id": event_id}
        for each, event_id in zip(results, ids[1:] + ids[:1], strict=True)
    ]


def _as_html(reply: Reply) -> Reply:
    if reply.status == 200:
        return reply
    headers = {**reply.headers, "Content-Type": "text/html"}
    return replace(reply, content="<h1>Error</h1>", headers=headers)


def _conflict_for_duplicates(reply: Reply) -> Reply:
    results = reply.content.get("results", ())
    if any(each["status"] == "duplicate" for each in results):
        return replace(reply, status=409, content={"error": "duplicate"})
    return reply


def _redirect(reply: Reply) -> Reply:
    return replace(reply, status=302, headers={**reply.headers, "Location": "/api/v2/"})


def _without_header(name: str) -> Callable[[Reply], Reply]:
    return lambda reply: replace(reply, headers=_without(dict(reply.headers), name))


def _last_reply(parts: Parts) -> Parts:
    last: list[Reply] = []

    def change(reply: Reply) -> Reply:
        last.append(reply)
        return last.pop(0) if len(last) > 1 else reply

    return replies(change)(parts)


def _health(**changes: Any) -> Any:
    def change(reply: Reply) -> Reply:
        return replace(reply, content={**reply.content, **changes})

    return replies(change, "health")


def _random_instance(reply: Reply) -> Reply:
    return replace(reply, content={**reply.content, "server_instance_id": secrets.token_hex(8)})


_OK = "success"
_BAD = "rejected"

ANSWERS: Mapping[str, Fault] = MappingProxyType(
    {
        # which results there are
        "drops-last-result": Fault("the last event has no result", result_list(lambda r: r[:-1])),
        "invents-result": Fault(
            "one result more than events",
            result_list(lambda r: [*r, {"event_id": "0" * 26, "status": _OK}]),
        ),
        "shifts-results": Fault("each outcome under the next event's id", result_list(_shifted)),
        "merges-repeated-ids": Fault(
            "one result per id, not per event",
            result_list(lambda r: list({str(each["event_id"]): each for each in r}.values())),
        ),
        "results-without-object": Fault(
            "the list of results without the object around it",
            replies(lambda reply: replace(reply, content=reply.content.get("results", []))),
        ),
        "empty-results": Fault("no results at all", result_list(lambda r: [])),
        # what a result says
        "lowercases-ids": Fault(
            "ids come back in lower case",
            each_result(lambda each: {**each, "event_id": str(each["event_id"]).lower()}),
        ),
        "says-ok": Fault(
            "`ok` in place of success", each_result(lambda e: {**e, "status": "ok"}, of=_OK)
        ),
        "says-accepted-for-duplicate": Fault(
            "success for an id that was stored before",
            each_result(lambda e: {**e, "status": _OK}, of="duplicate"),
        ),
        "rejects-duplicates": Fault(
            "duplicates are rejected",
            each_result(lambda e: {**e, "status": _BAD, "error": "exists"}, of="duplicate"),
        ),
        "rejects-silently": Fault(
            "no reason for a rejection", each_result(lambda e: _without(e, "error"), of=_BAD)
        ),
        "rejects-with-empty-reason": Fault(
            "an empty reason for a rejection", each_result(lambda e: {**e, "error": ""}, of=_BAD)
        ),
        "rejects-vaguely": Fault(
            "a reason that names no field",
            each_result(lambda e: {**e, "error": "the event is not valid"}, of=_BAD),
        ),
        "blames-another-field": Fault(
            "a reason that names a field that is fine",
            each_result(lambda e: {**e, "error": "node_id: not valid"}, of=_BAD),
        ),
        "leaves-out-category": Fault(
            "no error_category", each_result(lambda e: _without(e, "error_category"))
        ),
        "success-with-error": Fault(
            "a success carries an error text",
            each_result(lambda e: {**e, "error": "stored"}, of=_OK),
        ),
        "pending-for-ever": Fault(
            "stored events stay pending on every re-send",
            each_result(
                lambda e: {**e, "status": "pending"} if e["status"] in (_OK, "duplicate") else e
            ),
        ),
        "always-success": Fault(
            "everything is a success",
            each_result(lambda e: {**_without(e, "error"), "status": _OK}),
        ),
        # the status of the whole answer
        "answers-201": Fault("201 for a stored batch", status(200, 201)),
        "answers-202": Fault("202 for a stored batch", status(200, 202)),
        "answers-207": Fault("207 for a stored batch", status(200, 207)),
        "redirects": Fault("302 after storing the batch", replies(_redirect)),
        "conflict-for-duplicates": Fault(
            "409 for a batch with duplicates", replies(_conflict_for_duplicates)
        ),
        "malformed-is-500": Fault("500 for a body that is no batch", status(400, 500)),
        "malformed-is-200": Fault("200 for a body that is no batch", status(400, 200, results=[])),
        "too-many-is-500": Fault("500 above a limit", status(413, 500)),
        "too-many-is-200": Fault("200 above a limit, nothing stored", status(413, 200, results=[])),
        "unauthorized-is-403": Fault("403 for a missing or bad token", status(401, 403)),
        "unauthorized-is-500": Fault("500 for a missing or bad token", status(401, 500)),
        "unauthorized-is-200": Fault("200 for a bad token", status(401, 200, results=[])),
        "unauthorized-without-challenge": Fault(
            "no WWW-Authenticate", replies(_without_header("WWW-Authenticate"))
        ),
        "unsupported-encoding-is-500": Fault("500 for an unknown encoding", status(415, 500)),
        "gate-is-400": Fault("400 for a protocol it does not speak", status(412, 400)),
        "gate-without-guidance": Fault(
            "412 without saying what to do",
            refusals(lambda c: _without(c, "sync_protocol"), only=412),
        ),
        "throttle-is-200": Fault("200 above the rate", status(429, 200, results=[])),
        "throttles-without-retry-after": Fault(
            "429 without Retry-After", replies(_without_header("Retry-After"))
        ),
        "answers-with-the-last-reply": Fault(
            "a batch gets the results of the batch before", _last_reply
        ),
        # error bodies
        "errors-as-html": Fault("error pages in HTML", replies(_as_html)),
        "errors-without-details": Fault(
            "400 without details", refusals(lambda c: _without(c, "details"), only=400)
        ),
        "errors-without-error": Fault(
            "refusals without `error`", refusals(lambda c: _without(c, "error"))
        ),
        "errors-as-text": Fault("a refusal is a JSON text", refusals(lambda c: c["error"])),
        "leaks-traceback": Fault(
            "a stack trace in the error",
            refusals(lambda c: {**c, "error": 'Traceback (most recent call last):\n  File "/srv'}),
        ),
        "calls-everything-too-large": Fault(
            "errors that are not about size speak of it",
            each_result(lambda e: {**e, "error": f"too large: {e['error']}"}, of=_BAD),
        ),
        # requests
        "wrong-method-is-200": Fault(
            "GET, PUT and DELETE on the batch path are answered 200",
            requests(lambda method, _: method != "POST", 200, "use POST"),
        ),
        "wrong-method-is-500": Fault(
            "500 for a wrong method", requests(lambda method, _: method != "POST", 500, "method")
        ),
        "refuses-unknown-headers": Fault(
            "400 for a header it does not know",
            requests(lambda _, h: any(n.startswith("x-") for n in h), 400, "unknown header"),
        ),
        "refuses-charset": Fault(
            "415 for application/json with a charset",
            requests(lambda _, h: ";" in h.get("content-type", ""), 415, "media type"),
        ),
        "chunked-is-500": Fault(
            "500 for a chunked body", requests(lambda _, h: "transfer-encoding" in h, 500, "length")
        ),
        # health
        "health-is-random": Fault(
            "a new instance id with each health answer", replies(_random_instance, "health")
        ),
        "health-with-wrong-types": Fault(
            "numbers where health has texts", _health(server_instance_id=7, git_sha=["x"])
        ),
        "health-is-500": Fault(
            "health fails", replies(lambda reply: replace(reply, status=500), "health")
        ),
        "health-promises-more": Fault(
            "health advertises larger limits than hold",
            _health(max_batch_events=5000, max_event_bytes=4_000_000),
        ),
    }
)
