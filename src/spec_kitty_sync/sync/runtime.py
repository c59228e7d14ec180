"""The one emitter and the one background service of a process (CONTRACT 7, Producing and runtime).

This module holds the program's only module-level state; `reset_runtime` empties it.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.dispatcher import StopSignal
from spec_kitty_sync.delivery.report import DrainReport
from spec_kitty_sync.errors import SpecKittyError, UsageError
from spec_kitty_sync.sync.background import STOP_BOUND_S, BackgroundSyncService
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.connecting import http_client, trusted_ca
from spec_kitty_sync.sync.delivering import drain_home, token_source
from spec_kitty_sync.sync.emitter import EventEmitter
from spec_kitty_sync.sync.emitting import build_emitter, capture_config
from spec_kitty_sync.sync.gates import look
from spec_kitty_sync.sync.heartbeat import HeartbeatFile
from spec_kitty_sync.sync.modes import project_settings
from spec_kitty_sync.sync.store import open_home
from spec_kitty_sync.sync.websocket import WebSocketClient
from spec_kitty_sync.sync.ws_session import WsSession, ask_session

_LOG = logging.getLogger(__name__)
_SESSION_DEADLINE_S = 10.0
_FORK_WAIT_S = 1.0
_SERVICE_SHARE = 0.75  # of the time for goodbye; the rest is the live connection's


def current_settings() -> Settings:
    """Return the settings of this process: its environment and its folder."""
    environ = dict(os.environ)
    return Settings(Home.resolve(environ), environ, Path.cwd())


def auto_start_enabled(settings: Settings | None = None) -> bool:
    """Whether the project wants background delivery (`sync.auto_start`, default true)."""
    try:
        section = project_settings((settings or current_settings()).cwd)
    except UsageError:
        return True
    return section.get("auto_start", True) is not False


def is_authenticated(settings: Settings | None = None) -> bool:
    """Whether a token for this home's target is there, or can be had without a login."""
    try:
        return look(settings or current_settings(), clock=SystemClock()).auth.authenticated
    except SpecKittyError:
        return False


@dataclass
class SyncRuntime:
    """Background delivery of one process: the service, the live connection, the emitter."""

    background_service: BackgroundSyncService | None = None
    ws_client: WebSocketClient | None = None
    emitter: EventEmitter | None = None
    started: bool = False
    settings: Settings = field(default_factory=current_settings, repr=False)
    clock: Clock = field(default_factory=SystemClock, repr=False)

    def start(self) -> None:
        """Start the service, unless it runs or the project does not want it; never waits."""
        if self.started or not auto_start_enabled(self.settings):
            return
        if self.background_service is None:
            self.background_service = make_service(self.settings, self.clock, self.keep_live)
        self.background_service.start()
        self.started = True

    def attach_emitter(self, emitter: EventEmitter) -> None:
        """Give *emitter* the live connection, now or when there is one."""
        self.emitter = emitter
        if self.ws_client is not None:
            emitter.ws_client = self.ws_client

    def stop(self, bound_s: float = STOP_BOUND_S) -> None:
        """Stop the service, then the connection, within *bound_s* in all."""
        if self.background_service is not None:
            self.background_service.stop(bound_s * _SERVICE_SHARE)
        if self.ws_client is not None:
            self.ws_client.disconnect()
            self.ws_client = None
        if self.emitter is not None:
            self.emitter.ws_client = None
        self.started = False

    def wake(self) -> None:
        """Tell the service that an event waits."""
        if self.background_service is not None:
            self.background_service.wake()

    def keep_live(self) -> bool:
        """Connect where that is possible and not done yet; whether a connection stands.

        Runs on the service's thread. A server without WebSocket is asked again at each drain.
        """
        if self.emitter is None:
            return False
        situation = look(self.settings, clock=self.clock)
        url = situation.target.resolved_server_url
        if situation.blocked is not None or url is None:
            return False
        if token_source(self.settings, situation).access_token() is None:
            return False
        here = (url, situation.target.login)
        if self.ws_client is not None and (self.ws_client.server_url, self.ws_client.login) != here:
            self.ws_client.disconnect()
            self.ws_client = None
        client = self.ws_client or self._new_client(url, self.emitter)
        try:
            client.connect()
        except SpecKittyError as exc:
            _LOG.info("no live session, events leave by the drain: %s", exc.message)
            return False
        self.ws_client = client
        self.attach_emitter(self.emitter)
        return True

    def _new_client(self, url: str, emitter: EventEmitter) -> WebSocketClient:
        def open_session() -> WsSession:
            situation = look(self.settings, clock=self.clock)
            credentials = token_source(self.settings, situation)
            config = situation.config
            with http_client(config, url, deadline_s=_SESSION_DEADLINE_S) as client:
                session = ask_session(url, client, credentials)
            login = situation.target.login
            return replace(session, ca_file=trusted_ca(config, url), login=login)

        return WebSocketClient(url, open_session, on_clock=emitter.clock.note)


def make_service(
    settings: Settings, clock: Clock, keep_live: Callable[[], bool] = lambda: False
) -> BackgroundSyncService:
    """Return a service for the home of *settings*, not started."""

    def drain(stop: StopSignal) -> DrainReport:
        return drain_home(settings, stop=stop, lock_wait_s=0)

    heartbeat = HeartbeatFile(settings.home)
    return BackgroundSyncService(drain, heartbeat=heartbeat, clock=clock, keep_live=keep_live)


class _Process:
    """What `get_emitter` made, and in which process."""

    lock: ClassVar[threading.RLock] = threading.RLock()
    pid: ClassVar[int] = 0
    runtime: ClassVar[SyncRuntime | None] = None
    store: ClassVar[Store | None] = None
    # A forked child must not even close what its parent had open.
    inherited: ClassVar[list[object]] = []
    paused: ClassVar[ExitStack | None] = None
    watches_forks: ClassVar[bool] = False


def _before_fork() -> None:
    """Let no thread be inside the database's library: its locks would stay locked in the child.

    A drain that takes longer than the wait is on the network, not in the library.
    """
    paused = _Process.paused = ExitStack()
    paused.enter_context(_Process.lock)
    runtime = _Process.runtime
    if runtime is not None and runtime.emitter is not None:
        runtime.emitter.pause()
        paused.callback(runtime.emitter.resume)
    service = runtime.background_service if runtime is not None else None
    if service is not None and service.pause(_FORK_WAIT_S):
        paused.callback(service.resume)


def _after_fork() -> None:
    if _Process.paused is not None:
        _Process.paused.close()


def _watch_forks() -> None:
    if not _Process.watches_forks and hasattr(os, "register_at_fork"):
        _Process.watches_forks = True
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
        )


def get_runtime() -> SyncRuntime:
    """Return the runtime of this process, made at the first call; not started by this."""
    with _Process.lock:
        if _Process.pid != os.getpid():
            _Process.inherited.append((_Process.runtime, _Process.store))
            _Process.pid, _Process.runtime, _Process.store = os.getpid(), None, None
        if _Process.runtime is None:
            _watch_forks()
            _Process.runtime = SyncRuntime()
            atexit.register(reset_runtime)
        return _Process.runtime


def get_emitter() -> EventEmitter:
    """Return the emitter of this process; the first call also starts background delivery.

    It may be used from any thread. A forked child gets its own.

    Raises:
        StoreError: the home cannot be opened.
    """
    with _Process.lock:
        runtime = get_runtime()
        if runtime.emitter is None:
            settings = runtime.settings
            synchronous = capture_config(settings).synchronous
            store = open_home(settings.home, synchronous=synchronous, any_thread=True)
            _Process.store = store
            emitter = build_emitter(settings, store, wall=runtime.clock, on_waiting=runtime.wake)
            runtime.attach_emitter(emitter)
            runtime.start()
        assert runtime.emitter is not None
        return runtime.emitter


def get_sync_service() -> BackgroundSyncService:
    """Return the background service of this process; not started by this."""
    with _Process.lock:
        runtime = get_runtime()
        if runtime.background_service is None:
            runtime.background_service = make_service(
                runtime.settings, runtime.clock, runtime.keep_live
            )
        return runtime.background_service


def reset_runtime() -> None:
    """Stop and forget everything; a command waits at most `STOP_BOUND_S` for it at its end."""
    with _Process.lock:
        if _Process.pid != os.getpid() or _Process.runtime is None:
            return
        runtime, store = _Process.runtime, _Process.store
        _Process.runtime, _Process.store = None, None
        atexit.unregister(reset_runtime)
    runtime.stop()
    if runtime.emitter is not None and store is not None:
        try:
            runtime.emitter.close()
        except SpecKittyError as exc:
            _LOG.info("the clock's copy was not written: %s", exc.message)
        store.close()
