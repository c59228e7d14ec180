"""Faults in what is remembered, and in batches as a whole."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from spec_kitty_sync.receiver.decide import Known, NewEvent, Refused, Result, Verdict
from spec_kitty_sync.receiver.faults.seams import Apply, Fault, outcomes, verdicts
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.parts import Parts
from spec_kitty_sync.receiver.principals import Principal
from spec_kitty_sync.receiver.split import Element
from spec_kitty_sync.receiver.store import EventStore, Page, StoredEvent
from spec_kitty_sync.receiver.store import Identity as StoreIdentity


class _Store:
    """A store that passes everything on; faults override one method."""

    def __init__(self, inner: EventStore) -> None:
        self.inner = inner

    def open(self) -> StoreIdentity:
        return self.inner.open()

    def identity(self) -> StoreIdentity:
        return self.inner.identity()

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        return self.inner.add(batches, now_ms=now_ms)

    def event(self, scope: str, event_id: str) -> StoredEvent | None:
        return self.inner.event(scope, event_id)

    def page(self, scope: str, *, project_uuid: str | None, after: int, limit: int) -> Page:
        return self.inner.page(scope, project_uuid=project_uuid, after=after, limit=limit)

    def bodies_of_types(
        self, scope: str, event_types: Collection[str], *, project_uuid: str | None
    ) -> list[bytes]:
        return self.inner.bodies_of_types(scope, event_types, project_uuid=project_uuid)

    def newest_clock(self, scope: str) -> int:
        return self.inner.newest_clock(scope)

    def close(self) -> None:
        self.inner.close()

    def reset(self) -> StoreIdentity:
        return self.inner.reset()


class _Forgets(_Store):
    """Never says that an id was there."""

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        return [{} for _ in super().add(batches, now_ms=now_ms)]


class _Racing(_Store):
    """Does not see what was stored in the last half second, as SELECT then INSERT would."""

    def __init__(self, inner: EventStore) -> None:
        super().__init__(inner)
        self._stored_at_s: dict[str, float] = {}

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        now_s = time.monotonic()
        found = super().add(batches, now_ms=now_ms)
        for batch in batches:
            for event in batch:
                self._stored_at_s.setdefault(event.event_id, now_s)
        return [
            {key: known for key, known in each.items() if now_s - self._stored_at_s[key] > 0.5}
            for each in found
        ]


class _InMemory(_Store):
    """Acknowledges what is only in memory; a restart loses it."""

    def __init__(self, inner: EventStore) -> None:
        super().__init__(inner)
        self._events: dict[tuple[str, str], Known] = {}

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        answers: list[Mapping[str, Known]] = []
        for batch in batches:
            keys = {event.event_id: (event.scope, event.event_id) for event in batch}
            answers.append(
                {name: self._events[key] for name, key in keys.items() if key in self._events}
            )
            for event in batch:
                known = Known(event.body, event.settles_at_ms)
                self._events.setdefault((event.scope, event.event_id), known)
        return answers

    def close(self) -> None:
        self._events.clear()
        super().close()


class _Overwrites(_Store):
    """Reads back the content that was sent last."""

    def __init__(self, inner: EventStore) -> None:
        super().__init__(inner)
        self._last: dict[tuple[str, str], bytes] = {}

    def add(
        self, batches: Sequence[Sequence[NewEvent]], *, now_ms: int
    ) -> list[Mapping[str, Known]]:
        for batch in batches:
            self._last.update({(each.scope, each.event_id): each.body for each in batch})
        return super().add(batches, now_ms=now_ms)

    def event(self, scope: str, event_id: str) -> StoredEvent | None:
        found = super().event(scope, event_id)
        return found and replace(found, body=self._last.get((scope, event_id), found.body))


class _Edits(_Store):
    """Reads back events with some bytes changed."""

    def __init__(self, inner: EventStore, pattern: bytes, new: bytes) -> None:
        super().__init__(inner)
        self._pattern = re.compile(pattern)
        self._new = new

    def event(self, scope: str, event_id: str) -> StoredEvent | None:
        found = super().event(scope, event_id)
        return found and replace(found, body=self._pattern.sub(self._new, found.body))


class _KeepsIdentity(_Store):
    """Is wiped without a new identity."""

    def reset(self) -> StoreIdentity:
        old = self.inner.identity()
        return replace(self.inner.reset(), server_instance_id=old.server_instance_id)


def _storing(wrap: Callable[[EventStore], EventStore]) -> Apply:
    return lambda parts: replace(parts, store=wrap(parts.store))


def _each_alone(parts: Parts) -> Parts:
    def decide(
        judged: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int
    ) -> list[Result]:
        return [parts.decide([each], known, now_ms=now_ms)[0] for each in judged]

    return replace(parts, decide=decide)


def _conflict_is_success(verdict: Verdict, result: Result) -> Result:
    if result.error_category == "id_conflict":
        return Result(result.event_id, "success")
    return result


def _burns(parts: Parts) -> Parts:
    burnt: set[str | None] = set()

    def change(verdict: Verdict, result: Result) -> Result:
        if isinstance(verdict, Refused):
            burnt.add(verdict.event_id)
        elif result.event_id in burnt:
            return replace(result, status="duplicate")
        return result

    return outcomes(change)(parts)


def _notes_ids_first(parts: Parts) -> Parts:
    """Look for repeated ids within a batch before looking at its events."""

    def burnt(judged: Sequence[Verdict]) -> set[int]:
        first: dict[str | None, Verdict] = {}
        for each in judged:
            first.setdefault(each.event_id, each)
        return {
            place
            for place, each in enumerate(judged)
            if isinstance(each, NewEvent) and isinstance(first[each.event_id], Refused)
        }

    def fresh(judged: Iterable[Verdict]) -> list[NewEvent]:
        listed = list(judged)
        gone = burnt(listed)
        return parts.fresh(each for place, each in enumerate(listed) if place not in gone)

    def decide(
        judged: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int
    ) -> list[Result]:
        results, gone = parts.decide(judged, known, now_ms=now_ms), burnt(judged)
        return [
            Result(each.event_id, "duplicate") if place in gone else each
            for place, each in enumerate(results)
        ]

    return replace(parts, fresh=fresh, decide=decide)


def _keys_on(field: str) -> Apply:
    """Make the key of a stored event of its id and another *field*."""

    def apply(parts: Parts) -> Parts:
        def judge(element: Element, principal: Principal) -> Verdict:
            verdict = parts.judge(element, principal)
            if isinstance(verdict, Refused):
                return verdict
            told = (element.fields or {}).get(field)
            return replace(verdict, scope=f"{verdict.scope}|{told}")

        return replace(parts, judge=judge)

    return apply


def _truncates(parts: Parts) -> Parts:
    seen: dict[str, str] = {}

    def change(verdict: Verdict, result: Result) -> Result:
        if result.status == "success" and result.event_id is not None:
            first = seen.setdefault(result.event_id[:25], result.event_id)
            if first != result.event_id:
                return replace(result, status="duplicate")
        return result

    return outcomes(change)(parts)


def _refuse_rest(judged: Sequence[Verdict], start: int) -> list[Verdict]:
    rest: list[Verdict] = [
        Refused(each.event_id, "an event before it was refused", "schema_mismatch")
        for each in judged[start:]
    ]
    return [*judged[:start], *rest]


def _all_or_nothing(judged: Sequence[Verdict]) -> Sequence[Verdict]:
    bad = any(isinstance(each, Refused) for each in judged)
    return _refuse_rest(judged, 0) if bad else judged


def _stops_at_first(judged: Sequence[Verdict]) -> Sequence[Verdict]:
    refused = [index for index, each in enumerate(judged) if isinstance(each, Refused)]
    return _refuse_rest(judged, refused[0] + 1) if refused else judged


def _error_budget(judged: Sequence[Verdict]) -> Sequence[Verdict]:
    refused = [index for index, each in enumerate(judged) if isinstance(each, Refused)]
    return _refuse_rest(judged, refused[3] + 1) if len(refused) > 3 else judged


def _limits(change: Callable[[Limits], Limits]) -> Apply:
    return lambda parts: replace(parts, limits=change(parts.limits))


def _cuts_silently(parts: Parts) -> Parts:
    def split(body: bytes, limits: Limits) -> Sequence[Element]:
        everything = replace(limits, max_batch_events=1_000_000)
        return parts.split(body, everything)[: limits.max_batch_events]

    return replace(parts, split=split)


def _retry_oversize(verdict: Verdict, result: Result) -> Result:
    return replace(result, status="rejected") if result.status == "failed_permanent" else result


STORING: Mapping[str, Fault] = MappingProxyType(
    {
        # memory
        "forgets-ids": Fault("an id that was stored is a success again", _storing(_Forgets)),
        "forgets-ids-in-batch": Fault("an id twice in one batch is success twice", _each_alone),
        "racing-posts-both-win": Fault("two posts at once are both a success", _storing(_Racing)),
        "acknowledges-before-storing": Fault(
            "what is acknowledged is lost by a restart", _storing(_InMemory)
        ),
        "conflict-is-success": Fault(
            "an id with other content is a success", outcomes(_conflict_is_success)
        ),
        "conflict-overwrites": Fault("the last content of an id stays", _storing(_Overwrites)),
        "burns-rejected-ids": Fault("the id of a rejected event is used up", _burns),
        "burns-rejected-ids-in-batch": Fault(
            "ids are noted before events are checked, within a batch", _notes_ids_first
        ),
        "keys-on-project-too": Fault("the key is id and project", _keys_on("project_uuid")),
        "keys-on-node-too": Fault("the key is id and node", _keys_on("node_id")),
        "truncates-ids": Fault("the last character of an id does not count", _truncates),
        "reset-keeps-identity": Fault(
            "a wiped store has the old identity", _storing(_KeepsIdentity)
        ),
        "stores-server-time": Fault(
            "timestamp is replaced on the way in",
            _storing(lambda inner: _Edits(inner, rb'("timestamp"\s*:\s*")2', rb"\g<1>1")),
        ),
        "loses-non-ascii": Fault(
            "characters outside ASCII are lost",
            _storing(lambda inner: _Edits(inner, rb"\\u[0-9a-fA-F]{4}|[\x80-\xff]", b"?")),
        ),
        "rounds-large-numbers": Fault(
            "integers of more than fifteen digits lose the last one",
            _storing(
                lambda inner: _Edits(inner, rb"([:\[,]\s*\d{15,18})\d(?=\s*[,\]}])", rb"\g<1>0")
            ),
        ),
        # batches
        "all-or-nothing": Fault("one bad event refuses the batch", verdicts(_all_or_nothing)),
        "stops-at-first-bad": Fault(
            "events after a bad one are refused", verdicts(_stops_at_first)
        ),
        "error-budget": Fault("more than four bad events refuse the rest", verdicts(_error_budget)),
        "cuts-batches": Fault("events above the limit vanish", _cuts_silently),
        "limit-off-by-one": Fault(
            "one event less than advertised is taken",
            _limits(lambda each: replace(each, max_batch_events=each.max_batch_events - 1)),
        ),
        "no-limit": Fault(
            "there is no limit of events",
            _limits(lambda each: replace(each, max_batch_events=1_000_000)),
        ),
        "halves-body-limit": Fault(
            "half of the advertised body is taken",
            _limits(lambda each: replace(each, max_body_bytes=each.max_body_bytes // 2)),
        ),
        "oversize-is-retryable": Fault(
            "an oversize event is refused as if it could be corrected", outcomes(_retry_oversize)
        ),
    }
)
