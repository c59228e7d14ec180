"""The receivers' side that we see: where a batch goes, with which headers, behind which gates.

The dispatcher knows only `DeliveryReceiver`; what differs between Teamspace, an external
endpoint and a stub is data here.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from spec_kitty_sync._clock import Clock, SystemClock
from spec_kitty_sync._http import ANSWER_BASE_BYTES, ANSWER_BYTES_PER_EVENT, HttpClient, Reply
from spec_kitty_sync._urls import is_loopback
from spec_kitty_sync.delivery.answers import Answer, read_answer
from spec_kitty_sync.delivery.selection import Limits
from spec_kitty_sync.delivery.states import DEFAULT_MAX_REJECTIONS
from spec_kitty_sync.delivery.urls import batch_endpoint, external_endpoint
from spec_kitty_sync.errors import TargetUrlError

PROTOCOL_VERSION = "1.0"
_HEADERS = {
    "Content-Type": "application/json",
    "Content-Encoding": "gzip",
    "X-Spec-Kitty-Sync-Protocol": PROTOCOL_VERSION,
    "User-Agent": "spec-kitty-sync",
}
_GZIP_LEVEL = 6


class WireEvent(NamedTuple):
    """An event about to be sent: its place in the journal, its id, its stored bytes."""

    seq: int
    event_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class WireBatch:
    """A request body, made once: the stored bytes joined and compressed."""

    event_ids: tuple[str, ...]
    payload: bytes

    @classmethod
    def of(cls, events: Sequence[WireEvent]) -> WireBatch:
        joined = b'{"events":[' + b",".join([event.body for event in events]) + b"]}"
        payload = gzip.compress(joined, compresslevel=_GZIP_LEVEL, mtime=0)
        return cls(tuple(event.event_id for event in events), payload)


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition for sending at all; `remedy` opens it."""

    code: str
    open: bool
    remedy: str


@dataclass(frozen=True, slots=True)
class RetrySemantics:
    """How patient a drain is with this receiver. Seconds, and rejections in all drains."""

    max_rejections: int = DEFAULT_MAX_REJECTIONS
    wait_s: float = 30.0
    gate_closed_by_403: str | None = None


class CredentialSource(Protocol):
    """The token for one exact origin.

    `login_id` changes with each login and is no secret; it is empty where nobody logs in.
    """

    def access_token(self) -> str | None: ...

    def refresh(self) -> bool: ...

    def login_id(self) -> str: ...


class DeliveryReceiver(Protocol):
    """What the dispatcher needs of a receiver (CONTRACT 7)."""

    @property
    def endpoint_url(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def retry(self) -> RetrySemantics: ...

    def gates(self) -> tuple[Gate, ...]:
        """Return every condition; a closed one stops the drain before it begins."""
        ...

    def auth_headers(self) -> Mapping[str, str]: ...

    def login_id(self) -> str: ...

    def refresh(self) -> bool:
        """Try once to get a new token; whether it worked."""
        ...

    def deliver(self, batch: WireBatch) -> Reply:
        """Post *batch* and return the answer, untrusted.

        Raises:
            TransportError: see `HttpClient.request`.
        """
        ...

    def read(self, reply: Reply, sent: Sequence[str]) -> Answer:
        """Return what *reply* means for the events *sent*."""
        ...


@dataclass(frozen=True, slots=True)
class ReceiverOptions:
    """How much one request holds, and how patient we are."""

    limits: Limits = field(default_factory=Limits)
    retry: RetrySemantics = field(default_factory=RetrySemantics)
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Membership:
    """What Teamspace's gates look at. `closed_login`: the login that was answered 403."""

    team_slug: str | None
    sync_enabled: bool = True
    closed_login: str | None = None


class NoCredentials:
    """The credentials of a receiver that wants none."""

    def access_token(self) -> str | None:
        return None

    def refresh(self) -> bool:
        return False

    def login_id(self) -> str:
        return ""


@dataclass(frozen=True)
class StaticToken:
    """A token that the operator keeps elsewhere; it cannot be refreshed."""

    token: str

    def __repr__(self) -> str:
        return "StaticToken(…)"

    def access_token(self) -> str | None:
        return self.token

    def refresh(self) -> bool:
        return False

    def login_id(self) -> str:
        return ""


class _HttpReceiver:
    """What the three have in common: a POST, and the published reading of its answer."""

    def __init__(
        self,
        endpoint_url: str,
        client: HttpClient,
        *,
        credentials: CredentialSource,
        options: ReceiverOptions | None = None,
    ) -> None:
        self._endpoint_url = endpoint_url
        self._client = client
        self._credentials = credentials
        self._options = options or ReceiverOptions()

    @property
    def endpoint_url(self) -> str:
        return self._endpoint_url

    @property
    def limits(self) -> Limits:
        return self._options.limits

    @property
    def retry(self) -> RetrySemantics:
        return self._options.retry

    def auth_headers(self) -> Mapping[str, str]:
        token = self._credentials.access_token()
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    def login_id(self) -> str:
        return self._credentials.login_id()

    def refresh(self) -> bool:
        return self._credentials.refresh()

    def deliver(self, batch: WireBatch) -> Reply:
        return self._client.request(
            "POST",
            self._endpoint_url,
            headers={**_HEADERS, **self.auth_headers()},
            body=batch.payload,
            limit_bytes=ANSWER_BASE_BYTES + ANSWER_BYTES_PER_EVENT * len(batch.event_ids),
        )

    def read(self, reply: Reply, sent: Sequence[str]) -> Answer:
        return read_answer(reply, sent, now_ms=self._options.clock.now_ms())


class TeamspaceReceiver(_HttpReceiver):
    """Our own service: sends only when sync is on, logged in, in a team that may write."""

    def __init__(
        self,
        server_url: str,
        client: HttpClient,
        *,
        credentials: CredentialSource,
        membership: Membership,
        options: ReceiverOptions | None = None,
    ) -> None:
        endpoint = batch_endpoint(server_url)
        super().__init__(endpoint, client, credentials=credentials, options=options)
        self._membership = membership

    @property
    def retry(self) -> RetrySemantics:
        return replace(super().retry, gate_closed_by_403="private_teamspace")

    def gates(self) -> tuple[Gate, ...]:
        logged_in = self._credentials.access_token() is not None
        closed = self._membership.closed_login
        login = "Run `spec-kitty auth login`."
        enabled = self._membership.sync_enabled
        return (
            Gate("sync_disabled", enabled, "Run `unset SPEC_KITTY_ENABLE_SAAS_SYNC`."),
            Gate("no_auth", logged_in, login),
            Gate("no_team", bool(self._membership.team_slug), login),
            Gate("private_teamspace", not closed or closed != self.login_id(), login),
        )


class ExternalReceiver(_HttpReceiver):
    """An endpoint that the operator runs: its only gate is that there is one."""

    def __init__(
        self,
        endpoint: str,
        client: HttpClient,
        *,
        credentials: CredentialSource | None = None,
        options: ReceiverOptions | None = None,
    ) -> None:
        super().__init__(
            external_endpoint(endpoint) if endpoint else "",
            client,
            credentials=credentials or NoCredentials(),
            options=options,
        )

    def gates(self) -> tuple[Gate, ...]:
        configured = bool(self._endpoint_url)
        return (Gate("no_target", configured, "Run `spec-kitty sync server URL`."),)


class StubReceiver(_HttpReceiver):
    """A receiver on this machine that wants no credentials, for tests and CI of forks.

    Raises:
        TargetUrlError: it is not on this machine.
    """

    def __init__(
        self, url: str, client: HttpClient, *, options: ReceiverOptions | None = None
    ) -> None:
        if not is_loopback(url):
            raise TargetUrlError("a stub receiver must be on this machine")
        endpoint = external_endpoint(url)
        super().__init__(endpoint, client, credentials=NoCredentials(), options=options)

    def gates(self) -> tuple[Gate, ...]:
        return ()
