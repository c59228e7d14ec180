"""The running receiver: parts, store, tokens; what the endpoints share."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from starlette.responses import Response

from spec_kitty_sync._clock import Clock
from spec_kitty_sync.errors import StoreError
from spec_kitty_sync.receiver.accounts import Accounts
from spec_kitty_sync.receiver.board_cache import BoardCache
from spec_kitty_sync.receiver.committer import Committer
from spec_kitty_sync.receiver.decide import NewEvent, Result, Verdict
from spec_kitty_sync.receiver.feed import Feed
from spec_kitty_sync.receiver.metrics import Metrics
from spec_kitty_sync.receiver.overview import Overview
from spec_kitty_sync.receiver.parts import Parts, Reply
from spec_kitty_sync.receiver.principals import Directory, Principal, User
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.rejections import Rejections
from spec_kitty_sync.receiver.settings import Settings
from spec_kitty_sync.receiver.split import Element
from spec_kitty_sync.receiver.store import Identity

_LOG = logging.getLogger(__name__)
_ACCOUNTS_S = 2.0
_LOGINS = 16


class Receiver:
    """One store and everything that answers from it; `start` before use."""

    def __init__(self, settings: Settings, parts: Parts, clock: Clock) -> None:
        self.settings = settings
        self.parts = parts
        self.clock = clock
        self.metrics = Metrics()
        self.overview = Overview(parts.database)
        self.feed = Feed(self.overview.newest_seq, shared=parts.database.shared)
        self.boards = BoardCache(parts.store, self.overview, clock)
        self.rejections = Rejections(self.overview, clock)
        self.stopping = asyncio.Event()
        self._accounts = Accounts(parts.database)
        self._following: asyncio.Task[None] | None = None
        self._committer = Committer(parts.store, clock, self.metrics.commit)
        # One thread: judging is pure Python, more threads would only wait for each other.
        self._judging = ThreadPoolExecutor(1, thread_name_prefix="receiver-judge")
        # Another one, so that logging in, slow on purpose, holds nobody else up.
        self._checking = ThreadPoolExecutor(1, thread_name_prefix="receiver-login")
        self._logins = 0
        self._use(Identity("", b""), settings.users or ())

    async def start(self) -> None:
        """Open the store."""
        identity = await self._committer.open()
        self._use(identity, await asyncio.to_thread(self._users))
        if self.settings.accounts and self._following is None:
            self._following = asyncio.create_task(self._follow_accounts())

    async def stop(self) -> None:
        """Finish what is being stored, then close the store."""
        await self.rejections.end()
        await self._committer.close()

    async def end(self) -> None:
        """Stop for good."""
        self.stopping.set()
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        await self.stop()
        self._committer.end()
        self._judging.shutdown()
        self._checking.shutdown()

    async def restart(self) -> None:
        """Close and open the store, as a new process would."""
        await self.stop()
        await self.start()

    async def reset(self) -> None:
        """Wipe the store."""
        self._use(await self._committer.reset(), self._known_users)
        self.boards.forget()

    async def current_identity(self) -> Identity:
        """Return the store's identity; where others share the store it is read anew.

        Raises:
            StoreError
        """
        if self.parts.database.shared:
            identity = await asyncio.to_thread(self.parts.store.identity)
            if identity != self.identity:
                self.boards.forget()
                self._use(identity, self._known_users)
        return self.identity

    async def log_in(self, username: object, password: object) -> Principal:
        """Return who logs in; a few wait for each other, more are turned away.

        Raises:
            Refusal: 401, or 503 with Retry-After.
        """
        if self._logins >= _LOGINS:
            raise Refusal(503, "too many logins at once", headers={"Retry-After": "2"})
        self._logins += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._checking, self.directory.check_password, username, password
            )
        finally:
            self._logins -= 1

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
        elements, verdicts = await loop.run_in_executor(self._judging, self._judge, principal, body)
        return await self.settle(principal, elements, verdicts)

    async def settle(
        self, principal: Principal, elements: Sequence[Element], verdicts: Sequence[Verdict]
    ) -> list[Result]:
        """Store what is new among *verdicts*, tell listeners, return one result for each.

        Raises:
            StoreError: nothing was stored.
        """
        events = self.parts.fresh(verdicts)
        known = await self._committer.add(events)
        if len(known) < len(events):
            self.feed.stored({event.scope for event in events})
        decide = partial(self.parts.decide, verdicts, known, now_ms=self.clock.now_ms())
        results = await asyncio.get_running_loop().run_in_executor(self._judging, decide)
        self.metrics.results(results)
        pairs = zip(results, elements, strict=False)
        self.rejections.note(
            principal, ((each, element.fields) for each, element in pairs if each.error is not None)
        )
        return results

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

    def _judge(self, principal: Principal, body: bytes) -> tuple[Sequence[Element], list[Verdict]]:
        elements = self.parts.split(body, self.parts.limits)
        return elements, [self.judge(principal, element) for element in elements]

    def _users(self) -> tuple[User, ...]:
        """Return who may log in now."""
        if not self.settings.accounts:
            return self.settings.users or ()
        return tuple(account.user() for account in self._accounts.all())

    async def _follow_accounts(self) -> None:
        """Notice users that were added or removed."""
        while True:
            await asyncio.sleep(_ACCOUNTS_S)
            try:
                users = await asyncio.to_thread(self._users)
            except StoreError as exc:
                _LOG.warning("the store is unavailable: %s", exc)
                continue
            if users != self._known_users:
                self._use(self.identity, users)

    def _use(self, identity: Identity, users: Sequence[User]) -> None:
        self.identity = identity
        self._known_users = tuple(users)
        self.directory = Directory(
            users,
            secret=identity.signing_secret,
            clock=self.clock,
            lifetimes=self.settings.lifetimes,
        )
