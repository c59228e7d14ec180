"""The seams of the receiver: small functions, put together here, replaceable one by one.

The app only calls parts. A fault is a function that takes the healthy `Parts` and returns
them with one replaced (faults.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from starlette.types import ASGIApp

from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.events.validation import Validator
from spec_kitty_sync.receiver.database import Database
from spec_kitty_sync.receiver.decide import Known, NewEvent, Result, Verdict, decide, fresh
from spec_kitty_sync.receiver.inflate import BodyDecoder, body_decoder
from spec_kitty_sync.receiver.judge import Judge, Rules, judge
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.principals import Directory, Principal, anyone
from spec_kitty_sync.receiver.settings import Settings
from spec_kitty_sync.receiver.split import Element, split_batch
from spec_kitty_sync.receiver.store import EventStore
from spec_kitty_sync.receiver.stores import store_at
from spec_kitty_sync.registry_load import load_registry


class Decide(Protocol):
    """The signature of `decide.decide`."""

    def __call__(
        self, verdicts: Sequence[Verdict], known: Mapping[str, Known], /, *, now_ms: int
    ) -> list[Result]:
        """Return one result per verdict."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON answer about to be written; *route* names the endpoint, e.g. `batch`."""

    route: str
    status: int
    content: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the app calls.

    `limits` are what is enforced; health advertises the same. `authenticate` takes the
    Authorization header. `finish` sees every JSON answer last, `wrap` the whole app.
    """

    limits: Limits
    authenticate: Callable[[Directory, str | None], Principal]
    decoder: Callable[[str, int], BodyDecoder]
    split: Callable[[bytes, Limits], Sequence[Element]]
    judge: Judge
    fresh: Callable[[Iterable[Verdict]], list[NewEvent]]
    decide: Decide
    store: EventStore
    database: Database
    finish: Callable[[Reply], Reply]
    wrap: Callable[[ASGIApp], ASGIApp]


def healthy(settings: Settings) -> Parts:
    """Return the parts of a receiver without faults.

    Raises:
        UsageError: `settings.packs` names a pack that nobody registered.
        RegistryLoadError: an extension of the registry is broken.
    """
    store = store_at(settings.database)
    return Parts(
        limits=settings.limits,
        authenticate=_anyone if settings.open_to_all else Directory.authenticate,
        decoder=body_decoder,
        split=split_batch,
        judge=partial(judge, rules=_rules(settings)),
        fresh=fresh,
        decide=decide,
        store=store,
        database=store,
        finish=_unchanged,
        wrap=_unwrapped,
    )


def _rules(settings: Settings) -> Rules:
    registry = load_registry(schema_dirs=settings.schema_dirs)
    unknown = (settings.packs or frozenset()) - registry.packs()
    if unknown:
        raise UsageError(
            f"there is no pack {', '.join(sorted(unknown))}",
            remedy=f"Choose from: {', '.join(sorted(registry.packs()))}.",
        )
    validator = Validator(registry, packs=settings.packs, wire=True)
    return Rules(registry, validator, settings.limits.max_event_bytes, settings.tiers)


def _anyone(directory: Directory, authorization: str | None) -> Principal:
    return anyone(authorization)


def _unchanged(reply: Reply) -> Reply:
    return reply


def _unwrapped(app: ASGIApp) -> ASGIApp:
    return app
