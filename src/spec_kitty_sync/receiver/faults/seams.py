"""The handles that make a fault one line: change results, replies, verdicts, requests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from spec_kitty_sync import _json
from spec_kitty_sync.errors import JsonError
from spec_kitty_sync.receiver.decide import Known, NewEvent, Refused, Result, Verdict
from spec_kitty_sync.receiver.parts import Parts, Reply
from spec_kitty_sync.receiver.principals import Principal
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.split import Element

Apply = Callable[[Parts], Parts]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken promise: what it does wrong, and the change of the healthy parts."""

    description: str
    apply: Apply


def replies(change: Callable[[Reply], Reply], route: str = "batch") -> Apply:
    """Break JSON answers of *route* right before they are written."""

    def apply(parts: Parts) -> Parts:
        def finish(reply: Reply) -> Reply:
            reply = parts.finish(reply)
            return change(reply) if reply.route == route else reply

        return replace(parts, finish=finish)

    return apply


def status(healthy: int, broken: int, **content: Any) -> Apply:
    """Answer batches with *broken* in place of *healthy*; *content* replaces the body."""

    def change(reply: Reply) -> Reply:
        if reply.status != healthy:
            return reply
        return replace(reply, status=broken, content=content or reply.content)

    return replies(change)


def refusals(change: Callable[[Fields], Any], only: int | None = None) -> Apply:
    """Break the body of answers that are not 200, or those of one status *only*."""

    def edit(reply: Reply) -> Reply:
        if reply.status == 200 or only not in (None, reply.status):
            return reply
        return replace(reply, content=change(dict(reply.content)))

    return replies(edit)


def result_list(change: Callable[[list[Fields]], Any]) -> Apply:
    """Break the list of results, as JSON objects."""

    def edit(reply: Reply) -> Reply:
        if reply.status != 200:
            return reply
        return replace(reply, content={"results": change(list(reply.content["results"]))})

    return replies(edit)


def each_result(change: Callable[[Fields], Fields], *, of: str | None = None) -> Apply:
    """Break each result, or only those of status *of*."""
    return result_list(
        lambda results: [
            change(dict(each)) if of in (None, each["status"]) else each for each in results
        ]
    )


def accepts(repair: Callable[[Fields], None]) -> Apply:
    """Take events that are only valid after *repair*; what is stored stays as it was sent."""

    def apply(parts: Parts) -> Parts:
        def judge(element: Element, principal: Principal) -> Verdict:
            verdict = parts.judge(element, principal)
            fields = _parsed(element)
            if isinstance(verdict, NewEvent) or fields is None:
                return verdict
            repair(fields)
            body = _json.dumps(fields)
            again = parts.judge(Element(element.index, body, fields), principal)
            if isinstance(again, Refused):
                return verdict
            return replace(again, event_id=element.event_id or "", body=element.body)

        return replace(parts, judge=judge)

    return apply


def refuses(reason: Callable[[Fields], str | None]) -> Apply:
    """Refuse valid events for which there is a *reason*."""

    def apply(parts: Parts) -> Parts:
        def judge(element: Element, principal: Principal) -> Verdict:
            verdict = parts.judge(element, principal)
            if isinstance(verdict, Refused):
                return verdict
            error = reason(_parsed(element) or {})
            if error is None:
                return verdict
            return Refused(element.event_id, error, "schema_mismatch")

        return replace(parts, judge=judge)

    return apply


def crashes(test: Callable[[Element], bool]) -> Apply:
    """Answer 500 to a batch with such an element."""

    def apply(parts: Parts) -> Parts:
        def judge(element: Element, principal: Principal) -> Verdict:
            if test(element):
                raise Refusal(500, "internal error")
            return parts.judge(element, principal)

        return replace(parts, judge=judge)

    return apply


def verdicts(change: Callable[[Sequence[Verdict]], Sequence[Verdict]]) -> Apply:
    """Break what is thought of a batch as a whole, before anything is stored."""

    def apply(parts: Parts) -> Parts:
        def fresh(judged: Iterable[Verdict]) -> list[NewEvent]:
            return parts.fresh(change(list(judged)))

        def decide(
            judged: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int
        ) -> list[Result]:
            return parts.decide(change(judged), known, now_ms=now_ms)

        return replace(parts, fresh=fresh, decide=decide)

    return apply


def outcomes(change: Callable[[Verdict, Result], Result]) -> Apply:
    """Break each result, knowing the verdict it was made of; live sessions too."""

    def apply(parts: Parts) -> Parts:
        def decide(
            judged: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int
        ) -> list[Result]:
            results = parts.decide(judged, known, now_ms=now_ms)
            return [change(*pair) for pair in zip(judged, results, strict=True)]

        return replace(parts, decide=decide)

    return apply


def requests(test: Callable[[str, Headers], bool], code: int, error: str) -> Apply:
    """Answer requests whose method and headers pass *test* with *code*, before anything else."""

    def apply(parts: Parts) -> Parts:
        def wrap(app: ASGIApp) -> ASGIApp:
            app = parts.wrap(app)

            async def front(scope: Scope, receive: Receive, send: Send) -> None:
                batch = scope["type"] == "http" and scope["path"].endswith("/events/batch/")
                if batch and test(scope["method"], Headers(scope=scope)):
                    app_or_answer: ASGIApp = JSONResponse({"error": error}, code)
                else:
                    app_or_answer = app
                await app_or_answer(scope, receive, send)

            return front

        return replace(parts, wrap=wrap)

    return apply


def _parsed(element: Element) -> Fields | None:
    try:
        value = _json.loads_strict(element.body)
    except JsonError:
        return None
    return copy.deepcopy(value) if isinstance(value, dict) else None
