"""What a check holds in its hands: sends batches, reads replies, says what it wanted."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from spec_kitty_sync.conformance.builder import Builder, JsonObject, Namespace, batch_bytes
from spec_kitty_sync.conformance.client import Address, Client
from spec_kitty_sync.conformance.exchange import Exchange, Request
from spec_kitty_sync.conformance.reply import Reply

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
    packs: tuple[str, ...] = ("core",)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.token,) if self.token else ()


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

    def post(
        self,
        events: Iterable[Any] | None = None,
        *,
        body: bytes | None = None,
        encoding: str | None = "gzip",
        token: str | None = _OWN_TOKEN,
        headers: Iterable[tuple[str, str]] = (),
        note: str = "",
        **sending: bool,
    ) -> Reply:
        """Post *events* (or the JSON text *body*) as a batch; *encoding* gzip compresses it."""
        plain = batch_bytes(list(events or [])) if body is None else body
        wire = gzip.compress(plain, 6, mtime=0) if encoding == "gzip" else plain
        own = [] if encoding is None else [("Content-Encoding", encoding)]
        return self.send(
            Request(
                "POST",
                self.around.address.batch_path,
                self.head(token, own + list(headers)),
                wire,
                note,
            ),
            **sending,
        )

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

    def send(self, request: Request, **sending: bool) -> Reply:
        """Send *request* as it is; the reply is step N of this check."""
        if self._pace is not None:
            self._pace()
        return self.record(self._client.send(request, **sending))

    def record(self, exchange: Exchange) -> Reply:
        """Add an exchange that was made elsewhere (another thread, a raw socket)."""
        self.exchanges.append(exchange)
        return Reply(exchange, len(self.exchanges))

    def another_client(self) -> Client:
        """Return a client with a connection of its own, for another thread."""
        return Client(self.around.address, self.around.deadline_s)

    def accept(self, events: list[JsonObject], why: str = "valid events") -> Reply:
        """Post *events* and go on only if each is a success: the control of a check.

        Raises:
            ControlFailed: the receiver refused what later steps build on.
        """
        reply = self.post(events, note=f"control: {why}")
        for event in events:
            status = reply.status_of(event["event_id"])
            if status != "success":
                raise ControlFailed(
                    f"{why} should be accepted first, but the receiver said {reply.brief(event)}"
                )
        return reply
