"""Faults that only the suite needs: for checks that no fault of the receiver's own list meets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from spec_kitty_sync.conformance.extra_faults_network import (
    answers_any_path,
    dies_after_an_insult,
    forgets_per_connection,
    late_answers,
    leaves_refused_bodies,
    loses_under_load,
    one_at_a_time,
    one_reader,
)
from spec_kitty_sync.conformance.reference import TOKENS
from spec_kitty_sync.receiver.decide import Known, NewEvent, Refused, Result, Verdict
from spec_kitty_sync.receiver.faults.seams import (
    Fault,
    Fields,
    accepts,
    crashes,
    each_result,
    refuses,
    replies,
    requests,
    verdicts,
)
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.parts import Parts, Reply
from spec_kitty_sync.receiver.principals import Directory, Principal
from spec_kitty_sync.receiver.refusal import Refusal, malformed
from spec_kitty_sync.receiver.split import Element
from spec_kitty_sync.receiver.store import EventStore, Page

_EVIDENCE = {
    "repos": [{"repo": "r", "branch": "b", "commit": "c"}],
    "verification": [],
    "review": {"reviewer": "r", "verdict": "v"},
}


def _takes_token_beginnings(parts: Parts) -> Parts:
    def authenticate(directory: Directory, authorization: str | None) -> Principal:
        if authorization and authorization.startswith(f"Bearer {TOKENS.own[:12]}"):
            authorization = f"Bearer {TOKENS.own}"
        return parts.authenticate(directory, authorization)

    return replace(parts, authenticate=authenticate)


def _refuses_left_over_tokens(parts: Parts) -> Parts:
    def authenticate(directory: Directory, authorization: str | None) -> Principal:
        if authorization:
            raise Refusal(401, "no token is expected here")
        return parts.authenticate(directory, authorization)

    return replace(parts, authenticate=authenticate)


def _wavers_on_repeated_keys(parts: Parts) -> Parts:
    """A key that stands twice is taken every other time."""
    number = itertools.count().__next__

    def judge(element: Element, principal: Principal) -> Verdict:
        verdict = parts.judge(element, principal)
        twice = element.body.count(b'"event_type":') > 1
        if not isinstance(verdict, Refused) or not twice or number() % 2:
            return verdict
        body = json.dumps(json.loads(element.body)).encode()
        return parts.judge(replace(element, body=body), principal)

    return replace(parts, judge=judge)


def _folds_ids(parts: Parts) -> Parts:
    """Read ids as a ULID library does, and answer under the canonical form."""

    def judge(element: Element, principal: Principal) -> Verdict:
        told = element.event_id or ""
        folded = told.upper().translate(str.maketrans("ILO", "110"))
        if folded == told or not told.isascii():
            return parts.judge(element, principal)
        body = element.body.replace(told.encode(), folded.encode(), 1)
        fields = {**(element.fields or {}), "event_id": folded}
        verdict = parts.judge(Element(element.index, body, fields), principal)
        return replace(verdict, event_id=told) if isinstance(verdict, Refused) else verdict

    return replace(parts, judge=judge)


def _half_of_what_health_says(parts: Parts) -> Parts:
    """Take half of the advertised body, and do not claim to hold to sizes."""

    def finish(reply: Reply) -> Reply:
        reply = parts.finish(reply)
        if reply.route != "health":
            return reply
        content = {**reply.content, "max_body_bytes": 2 * reply.content["max_body_bytes"]}
        content["capabilities"] = [each for each in content["capabilities"] if each != "size-limit"]
        return replace(reply, content=content)

    return replace(parts, finish=finish)


def _set_version(fields: Fields) -> None:
    fields["schema_version"] = "1.0.0"


def _fill_names(fields: Fields) -> None:
    for name in ("node_id", "aggregate_id"):
        fields[name] = fields.get(name) or "x"


def _excuse_done(fields: Fields) -> None:
    payload = fields.get("payload")
    if isinstance(payload, dict):
        payload["evidence"] = _EVIDENCE
        payload["reason"] = payload.get("reason") or "x"


def _shifts_long_batches(rows: list[Fields]) -> list[Fields]:
    ids = [row["event_id"] for row in rows]
    pairs = zip(rows, ids[1:] + ids[:1], strict=True)
    return [{**row, "event_id": event_id} for row, event_id in pairs] if len(rows) == 6 else rows


def _long_results(reply: Reply) -> Reply:
    if reply.status != 200:
        return reply
    return replace(reply, content={"results": _shifts_long_batches(reply.content["results"])})


def _refuses_keys_beside_events(parts: Parts) -> Parts:
    def split(body: bytes, limits: Limits) -> Sequence[Element]:
        elements = parts.split(body, limits)
        if len(json.loads(body)) > 1:
            raise malformed("the body has keys beside events")
        return elements

    return replace(parts, split=split)


def _one_project(judged: Sequence[Verdict]) -> Sequence[Verdict]:
    first = next((one.project_uuid for one in judged if isinstance(one, NewEvent)), None)
    return [
        Refused(one.event_id, "project_uuid: another project than the first", "team_scope")
        if isinstance(one, NewEvent) and one.project_uuid != first
        else one
        for one in judged
    ]


def _compares_bytes(parts: Parts) -> Parts:
    def decide(
        judged: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int
    ) -> list[Result]:
        results = parts.decide(judged, known, now_ms=now_ms)
        return [
            Result(one.event_id, "rejected", "event_id: other content", "id_conflict")
            if isinstance(one, NewEvent)
            and one.event_id in known
            and known[one.event_id].body != one.body
            else result
            for one, result in zip(judged, results, strict=True)
        ]

    return replace(parts, decide=decide)


def _bad_end_spoils_all(judged: Sequence[Verdict]) -> Sequence[Verdict]:
    if len(judged) < 2 or not isinstance(judged[-1], Refused):
        return judged
    return [Refused(one.event_id, "the batch ends badly", "unknown") for one in judged]


def _rolls_back_beside_bad(parts: Parts) -> Parts:
    """Says success for the good events beside a bad one, and stores none of them."""

    def fresh(judged: Iterable[Verdict]) -> list[NewEvent]:
        listed = list(judged)
        return [] if any(isinstance(one, Refused) for one in listed) else parts.fresh(listed)

    return replace(parts, fresh=fresh)


def _stores_five_hundred(parts: Parts) -> Parts:
    """Store the first five hundred events of a batch, and call all of them a success."""
    return replace(parts, fresh=lambda judged: parts.fresh(judged)[:500])


def _details_without_ids(reply: Reply) -> Reply:
    rows = reply.content.get("results", ()) if reply.status == 200 else ()
    if not any(row["event_id"] is None for row in rows):
        return reply
    content = {"error": "bad elements", "details": [{"index": 0}]}
    return replace(reply, status=400, content=content)


class _Doubled:
    """A store that lists every event twice."""

    def __init__(self, inner: EventStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def page(self, scope: str, **question: Any) -> Page:
        found = self._inner.page(scope, **question)
        return replace(found, events=tuple(one for one in found.events for _ in range(2)))


def _lists_twice(parts: Parts) -> Parts:
    return replace(parts, store=cast("EventStore", _Doubled(parts.store)))


def _limits_in_words(reply: Reply) -> Reply:
    return replace(reply, content={**reply.content, "max_batch_events": "many"})


def _keys_of_tomorrow(fields: Fields) -> str | None:
    return "payload.x_tomorrow is not known" if "x_tomorrow" in fields["payload"] else None


def _sql_words(fields: Fields) -> str | None:
    return "node_id looks like SQL" if "DROP TABLE" in str(fields) else None


EXTRA_FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "answers-any-path": Fault("200 on a path that stores nothing", answers_any_path),
        "late-answers": Fault("every tenth answer is the one before", late_answers),
        "compares-token-start": Fault("a token need only begin right", _takes_token_beginnings),
        "refuses-left-over-token": Fault(
            "open to all, but not to those who bring a token", _refuses_left_over_tokens
        ),
        "wavers-on-repeated-keys": Fault(
            "a key that stands twice is taken every other time", _wavers_on_repeated_keys
        ),
        "folds-ids": Fault("ids are read leniently and answered in canonical form", _folds_ids),
        "leaves-refused-bodies": Fault(
            "the body of a refused request is taken for the next request", leaves_refused_bodies
        ),
        "advertises-without-claiming": Fault(
            "health says twice the size that is taken, and claims no size-limit",
            _half_of_what_health_says,
        ),
        "takes-any-major": Fault("any schema_version is taken", accepts(_set_version)),
        "takes-empty-names": Fault("node_id and aggregate_id may be empty", accepts(_fill_names)),
        "takes-done-without-evidence": Fault(
            "done needs no evidence, force no reason", accepts(_excuse_done)
        ),
        "shifts-mixed-results": Fault("in batches of six, results slip", replies(_long_results)),
        "refuses-top-level-keys": Fault(
            "400 for a key beside `events`", _refuses_keys_beside_events
        ),
        "one-project-per-batch": Fault(
            "the first project of a batch is the only one", verdicts(_one_project)
        ),
        "compares-bytes": Fault("content is compared byte by byte", _compares_bytes),
        "bad-end-spoils-all": Fault(
            "a bad last event refuses the whole batch", verdicts(_bad_end_spoils_all)
        ),
        "rolls-back-beside-bad": Fault(
            "success for events that were rolled back with a bad one", _rolls_back_beside_bad
        ),
        "stores-five-hundred": Fault(
            "what follows the first 500 events is a success, and not stored", _stores_five_hundred
        ),
        "details-without-ids": Fault("details that name no event", replies(_details_without_ids)),
        "blames-itself-for-bad-content": Fault(
            "category server_error for bad content",
            each_result(lambda row: {**row, "error_category": "server_error"}, of="rejected"),
        ),
        "talks-too-much": Fault(
            "reasons of several thousand characters",
            each_result(lambda row: {**row, "error": row["error"] + "!" * 4000}, of="rejected"),
        ),
        "dies-after-an-insult": Fault(
            "the first valid batch after a 400 is answered 500", dies_after_an_insult
        ),
        "one-at-a-time": Fault("500 while another batch is under way", one_at_a_time),
        "refuses-traceparent": Fault(
            "400 for tracing headers",
            requests(lambda method, headers: "traceparent" in headers, 400, "header"),
        ),
        "crashes-on-huge-clock": Fault(
            "500 for a clock beyond 64 bits",
            crashes(lambda element: b"9223372036854775808" in element.body),
        ),
        "refuses-extra-payload-keys": Fault(
            "unknown payload keys are refused", refuses(_keys_of_tomorrow)
        ),
        "forgets-ids-per-connection": Fault(
            "ids are remembered per connection", forgets_per_connection
        ),
        "lists-events-twice": Fault("the read API lists each event twice", _lists_twice),
        "loses-under-load": Fault("success, but not stored, under load", loses_under_load),
        "one-reader": Fault("a slow request holds up all others", one_reader),
        "health-limit-in-words": Fault(
            "max_batch_events is a word", replies(_limits_in_words, "health")
        ),
        "refuses-sql-words": Fault("text that looks like SQL is refused", refuses(_sql_words)),
        "crashes-on-proto": Fault(
            "500 for the key __proto__", crashes(lambda element: b"__proto__" in element.body)
        ),
    }
)
"""Every fault by name, beside those of the receiver."""
