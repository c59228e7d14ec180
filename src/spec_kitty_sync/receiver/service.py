"""The running receiver: parts, store, tokens; what the endpoints share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from starlette.responses import Response

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.receiver.committer import Committer
from spec_kitty_sync.receiver.decide import NewEvent, Result, Verdict
from spec_kitty_sync.receiver.news import News, Subscription
from spec_kitty_sync.receiver.parts import Parts, Reply
from spec_kitty_sync.receiver.principals import Directory, Principal
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.settings import Settings
from spec_kitty_sync.receiver.split import Element
from spec_kitty_sync.receiver.store import Identity


class Receiver:
    """One store and everything that answers from it; `start` before use."""

    def __init__(self, settings: Settings, parts: Parts, clock: Clock) -> None:
        self.settings = settings
        self.parts = parts
        self.clock = clock
        self._committer = Committer(parts.store, clock)
        # One thread: judging is pure Python, more threads would only wait for each other.
        self._judging = ThreadPoolExecutor(1, thread_name_prefix="receiver-judge")
        self.news = News()
        self._use(Identity("", b""))

    async def start(self) -> None:
        """Open the store."""
        self._use(await self._committer.open())

    async def stop(self) -> None:
        """Finish what is being stored, then close the store."""
        await self._committer.close()

    async def end(self) -> None:
        """Stop for good."""
        await self.stop()
        self._committer.end()
        self._judging.shutdown()

    async def restart(self) -> None:
        """Close and open the store, as a new process would."""
        await self.stop()
        await self.start()

    async def reset(self) -> None:
        """Wipe the store."""
        self._use(await self._committer.reset())

    def authenticate(self, authorization: str | None) -> Principal:
        """Return who asks; raises the 401."""
        return self.parts.authenticate(self.directory, authorization)

    async def take(self, principal: Principal, body: bytes) -> list[Result]:
        """Judge, store and answer the batch in *body*; everything stored is durable.

        Raises:
            Refusal: the body is no batch.
            StoreError: nothing was stored.
        """
        loop = asyncio.get_running_loop()
        verdicts = await loop.run_in_executor(self._judging, self._judge, principal, body)
        return await self.settle(verdicts)

    async def settle(
        self, verdicts: Sequence[Verdict], *, sender: Subscription | None = None
    ) -> list[Result]:
        """Store what is new among *verdicts*, tell listeners, return one result for each.

        Raises:
            StoreError: nothing was stored.
        """
        events = self.parts.fresh(verdicts)
        known = await self._committer.add(events)
        self.news.publish((event for event in events if event.event_id not in known), sender)
        decide = partial(self.parts.decide, verdicts, known, now_ms=self.clock.now_ms())
        return await asyncio.get_running_loop().run_in_executor(self._judging, decide)

    def judge(self, principal: Principal, element: Element) -> Verdict:
        """Return what is thought of one event."""
        verdict = self.parts.judge(element, principal)
        if self.settings.pending_s and isinstance(verdict, NewEvent):
            settles_at_ms = self.clock.now_ms() + int(self.settings.pending_s * 1000)
            return replace(verdict, settles_at_ms=settles_at_ms)
        return verdict

    def reply(self, reply: Reply) -> Response:
        """Return the HTTP response of *reply*."""
        reply = self.parts.finish(reply)
        body = json.dumps(reply.content, separators=(",", ":")).encode()
        return Response(body, reply.status, reply.headers, "application/json")

    def refusal(self, route: str, refusal: Refusal) -> Response:
        """Return the HTTP response of *refusal*."""
        headers = dict(refusal.headers)
        if refusal.close:
            headers["Connection"] = "close"
        return self.reply(Reply(route, refusal.status, refusal.content(), headers))

    def _judge(self, principal: Principal, body: bytes) -> list[Verdict]:
        elements = self.parts.split(body, self.parts.limits)
        return [self.judge(principal, element) for element in elements]

    def _use(self, identity: Identity) -> None:
        self.identity = identity
        self.directory = Directory(
            self.settings.users or (),
            secret=identity.signing_secret,
            clock=self.clock,
            lifetimes=self.settings.lifetimes,
        )
