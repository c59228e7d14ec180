"""What a check holds in its hands: sends batches, reads replies, says what it wanted."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spec_kitty_sync.conformance.builder import Builder, JsonObject, Namespace, batch_bytes
from spec_kitty_sync.conformance.client import Address, Client
from spec_kitty_sync.conformance.exchange import Exchange, Request
from spec_kitty_sync.conformance.extra_paths import HOOK_PATHS, PAGE, READ_PATH
from spec_kitty_sync.conformance.meaning import (
    Meaning,
    unless_known,
    unless_refused,
    unless_taken,
)
from spec_kitty_sync.conformance.reply import Reply, shorten

TAKEN: Final = frozenset({"success", "pending", "queued"})
REFUSED: Final = frozenset({"rejected", "failed_permanent"})
RESTART_PATIENCE_S: Final = 5.0
_PATIENCE_S: Final = 60.0
_THROTTLE_PATIENCE_S: Final = 30.0
_DEFAULT_BATCH_EVENTS: Final = 1000
_NOT_READ: Final = f"either it is not stored, or this path is not served: see {PAGE}"
_OWN_TOKEN: Final = "\0own"


class NotApplicable(Exception):
    """The check found that the receiver is not bound by it; the text says why."""


class ControlFailed(Exception):
    """What the check stands on did not hold (a valid parent was refused); it proves nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Surroundings:
    """What is the same for every check of a run."""

    address: Address
    namespace: Namespace
    token: str | None = None
    capabilities: frozenset[str] = frozenset()
    limits: dict[str, int] = field(default_factory=dict)
    deadline_s: float = 10.0
    spare_tokens: Mapping[str, str] = field(default_factory=dict)
    team: str | None = None
    alone: bool = True

    @property
    def max_events(self) -> int:
        """Events per batch: the advertised number, else the contract's 1000."""
        return self.limits.get("max_batch_events", _DEFAULT_BATCH_EVENTS)

    @property
    def secrets(self) -> tuple[str, ...]:
        spare = tuple(self.spare_tokens.values())
        return (self.token, *spare) if self.token else spare


class Probe:
    """One attempt of one case of one check against one receiver."""

    def __init__(
        self,
        surroundings: Surroundings,
        scope: str,
        *,
        client: Client | None = None,
        pace: Callable[[], None] | None = None,
    ) -> None:
        self.around = surroundings
        self.make = Builder(surroundings.namespace, scope)
        self.exchanges: list[Exchange] = []
        self._client = client or Client(surroundings.address, surroundings.deadline_s)
        self._pace = pace
        self._pending: set[str] = set()
        self.requests = self.events_sent = self.events_stored = 0
        self.waits_when_throttled = True
        self._patience_s = _THROTTLE_PATIENCE_S

    def post(
        self,
        events: Iterable[Any] | None = None,
        *,
        body: bytes | None = None,
        note: str = "",
        patient: bool = False,
        chunked: bool = False,
        fresh: bool = False,
        **form: Any,
    ) -> Reply:
        """Post *events* (or the JSON text *body*) as a batch; *form* as in `batch_request`.

        *patient* waits up to a minute, as senders do.
        """
        request = self.batch_request(events, body=body, note=note, **form)
        if patient:
            client = self.another_client(patient=True)
            try:
                return self.send(request, client=client, chunked=chunked, fresh=True)
            finally:
                client.close()
        return self.send(request, chunked=chunked, fresh=fresh)

    def batch_request(
        self,
        events: Iterable[Any] | None = None,
        *,
        body: bytes | None = None,
        encoding: str | None = "gzip",
        packed: bool = False,
        token: str | None = _OWN_TOKEN,
        headers: Iterable[tuple[str, str]] = (),
        note: str = "",
    ) -> Request:
        """Return the request of a batch; *packed* says that *body* is already encoded."""
        plain = batch_bytes(list(events or [])) if body is None else body
        wire = plain
        if encoding == "gzip" and not packed:
            wire = gzip.compress(plain, 6, mtime=0)
        own = [] if encoding is None else [("Content-Encoding", encoding)]
        head = self.head(token, own + list(headers))
        return Request("POST", self.around.address.batch_path, head, wire, note)

    def body(self, events: Iterable[Any]) -> bytes:
        """Return the uncompressed body of a batch."""
        return batch_bytes(list(events))

    def head(
        self, token: str | None = _OWN_TOKEN, extra: Iterable[tuple[str, str]] = ()
    ) -> tuple[tuple[str, str], ...]:
        """Return the headers of a batch; *extra* ones replace those of the same name."""
        chosen = self.around.token if token == _OWN_TOKEN else token
        standard = [
            ("Content-Type", "application/json"),
            ("Accept-Encoding", "identity"),
            ("X-Spec-Kitty-Sync-Protocol", "1.0"),
            ("User-Agent", "spec-kitty-conformance/1.0"),
        ]
        if chosen is not None:
            standard.append(("Authorization", f"Bearer {chosen}"))
        more = list(extra)
        replaced = {name.lower() for name, _ in more}
        kept = [pair for pair in standard if pair[0].lower() not in replaced]
        return tuple(kept + more)

    def send(
        self,
        request: Request,
        *,
        client: Client | None = None,
        chunked: bool = False,
        fresh: bool = False,
    ) -> Reply:
        """Send *request* as it is; the reply is step N of this check.

        A receiver that asks for patience (429 or 503 with Retry-After) is given some.
        """
        chosen = client or self._client
        while True:
            if self._pace is not None:
                self._pace()
            reply = self.record(chosen.send(request, chunked=chunked, fresh=fresh))
            wait_s = reply.retry_after_s
            if wait_s is None or not self.waits_when_throttled or wait_s > self._patience_s:
                return reply
            self._patience_s -= wait_s
            time.sleep(wait_s)

    def record(self, exchange: Exchange) -> Reply:
        """Add an exchange that was made elsewhere (another thread, a raw socket)."""
        self.exchanges.append(exchange)
        reply = Reply(exchange, len(self.exchanges))
        self.requests += 1
        self.events_sent += exchange.request.event_count or 0
        for row in reply.results:
            self.events_stored += row.get("status") in TAKEN
            if row.get("status") in {"pending", "queued"}:
                self._pending.add(str(row.get("event_id")))
        return reply

    @property
    def last(self) -> Reply:
        """The latest step."""
        return Reply(self.exchanges[-1], len(self.exchanges))

    def another_client(
        self,
        *,
        patient: bool = False,
        via: tuple[str, int] | None = None,
        keeps_refused: bool = False,
    ) -> Client:
        """Return a client with a connection of its own, for another thread or another way."""
        deadline_s = max(self.around.deadline_s, _PATIENCE_S if patient else 0)
        return Client(self.around.address, deadline_s, via, keeps_refused)

    def is_back(self) -> bool:
        """Return whether the receiver takes connections; after a broken one it is given time."""
        broken = bool(self.exchanges) and self.exchanges[-1].broke
        return not broken or self._client.comes_back(RESTART_PATIENCE_S)

    def need_it_alone(self) -> None:
        """Go on only if no other process of this run uses the receiver.

        Raises:
            NotApplicable: several workers share it, and a restart would disturb the others.
        """
        if not self.around.alone:
            raise NotApplicable("needs the receiver for itself: run without workers")

    def read_back(self, event_id: str) -> JsonObject:
        """Return the stored event from the receiver's read API (capability read-back)."""
        path = f"{READ_PATH}{event_id}/"
        reply = self.send(Request("GET", path, self.head(), note="read back"))
        reply.expect_status(200, means=_NOT_READ)
        if not isinstance(reply.json, dict):
            raise reply.fail("the stored event as a JSON object")
        return self._event_of(reply, reply.json)

    def stored_ids(self, project_uuid: str) -> list[str]:
        """Return the ids of every stored event of a project (capability read-back)."""
        found: list[str] = []
        after: object = 0
        while True:
            path = f"{READ_PATH}?project_uuid={project_uuid}&limit=500&after={after}"
            reply = self.send(Request("GET", path, self.head(), note="read back"))
            body = reply.expect_status(200, means=_NOT_READ).json
            if not isinstance(body, dict) or not isinstance(body.get("events"), list):
                raise reply.fail('a JSON object with a list "events"', means=f"see {PAGE}")
            found += [str(self._event_of(reply, row)["event_id"]) for row in body["events"]]
            if not body.get("more"):
                return found
            before, after = after, body.get("next_after")
            if after in {None, before}:
                raise reply.fail('another "next_after", as there is "more"', means=f"see {PAGE}")

    def _event_of(self, reply: Reply, entry: object) -> JsonObject:
        """Return the event of an *entry* that was read back: its `event`, or the entry itself."""
        stored = entry.get("event", entry) if isinstance(entry, dict) else None
        if not isinstance(stored, dict) or "event_id" not in stored:
            raise reply.fail(
                'entries that are {"event": {…}}',
                f"the entries have no `event`: {shorten(json.dumps(entry))}",
                f"what is stored cannot be told from this form; see {PAGE}",
            )
        return stored

    def call_hook(self, capability: str) -> Reply:
        """Call the test hook that *capability* promises."""
        path = HOOK_PATHS[capability]
        reply = self.send(Request("POST", path, self.head(), note=capability.replace("-", " ")))
        if reply.status in {404, 405}:
            raise reply.fail(
                "HTTP {200, 204}",
                f"POST {path} answered {reply.status}: the {capability} is declared but not there",
                f"declare it no more, or serve that path: see {PAGE}",
            )
        return reply.expect_status(200, 204)

    def control(self, events: list[JsonObject], why: str = "valid events") -> Reply:
        """Post *events* and go on only if each is taken: what later steps build on.

        Raises:
            ControlFailed: the receiver refused one, so the check would prove nothing.
            CheckFailed: no answer came at all.
        """
        reply = self.post(events, note=f"control: {why}").expect_answer()
        for event in events:
            if reply.status_of(event["event_id"]) not in TAKEN:
                raise ControlFailed(f"{why} should be taken first; got {reply.brief(event)}")
        return reply

    def taken(self, reply: Reply, events: Iterable[JsonObject], means: Meaning = "") -> Reply:
        """Ask that each of *events*, new to the receiver, was taken; *means*: if it refuses one."""
        return reply.expect_all(events, TAKEN, unless_taken(means))

    def repeated(self, reply: Reply, events: Iterable[JsonObject], means: Meaning = "") -> Reply:
        """Ask that each of *events*, taken before, is a duplicate (or still pending).

        *means*: if one is a success, as a new one would be.
        """
        means = unless_known(means)
        for event in events:
            settled = str(event["event_id"]) not in self._pending
            reply.expect_outcome(event, {"duplicate"} if settled else TAKEN | {"duplicate"}, means)
        return reply

    def refused(self, reply: Reply, event: JsonObject, means: Meaning = "") -> JsonObject:
        """Ask that *event* was refused for its content; *means*: if it is taken."""
        return reply.expect_outcome(event, REFUSED, unless_refused(means))
