"""Faults in who may write, and in how bodies are read."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from spec_kitty_sync.receiver.decide import Known, Result, Verdict
from spec_kitty_sync.receiver.faults.seams import Apply, Fault
from spec_kitty_sync.receiver.inflate import BodyDecoder, Identity, body_decoder
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.parts import Parts
from spec_kitty_sync.receiver.principals import Directory, Principal
from spec_kitty_sync.receiver.refusal import Refusal, malformed
from spec_kitty_sync.receiver.split import Element

_INTRUDER = Principal("intruder")


def _everyone(directory: Directory, authorization: str | None) -> Principal:
    return Principal("anyone")


def _login(
    change: Callable[[Directory, str | None, Refusal], Principal | Refusal],
) -> Apply:
    """Change what happens to a request that authentication refuses."""

    def apply(parts: Parts) -> Parts:
        def authenticate(directory: Directory, authorization: str | None) -> Principal:
            try:
                return parts.authenticate(directory, authorization)
            except Refusal as refusal:
                instead = change(directory, authorization, refusal)
            if isinstance(instead, Refusal):
                raise instead
            return instead

        return replace(parts, authenticate=authenticate)

    return apply


def _case_sensitive(parts: Parts) -> Parts:
    def authenticate(directory: Directory, authorization: str | None) -> Principal:
        if authorization and not authorization.startswith("Bearer "):
            raise Refusal(401, "the scheme is not Bearer", headers={"WWW-Authenticate": "Bearer"})
        return parts.authenticate(directory, authorization)

    return replace(parts, authenticate=authenticate)


def _any_scheme(parts: Parts) -> Parts:
    def authenticate(directory: Directory, authorization: str | None) -> Principal:
        words = (authorization or "").split()
        return parts.authenticate(directory, f"Bearer {words[-1]}" if words else None)

    return replace(parts, authenticate=authenticate)


def _expired(status: int) -> Apply:
    return _login(
        lambda directory, header, refusal: (
            Refusal(status, refusal.error) if "expired" in refusal.error else refusal
        )
    )


def _judges_first(parts: Parts) -> Parts:
    """Refuse an intruder only when the events are looked at."""
    parts = _login(lambda directory, header, refusal: _INTRUDER)(parts)

    def judge(element: Element, principal: Principal) -> Verdict:
        if principal is _INTRUDER:
            raise Refusal(401, "no good token", headers={"WWW-Authenticate": "Bearer"})
        return parts.judge(element, principal)

    return replace(parts, judge=judge)


def _stores_first(parts: Parts) -> Parts:
    """Refuse an intruder only after storing."""
    pending: list[Refusal] = []

    def note(directory: Directory, header: str | None, refusal: Refusal) -> Principal:
        pending.append(refusal)
        return _INTRUDER

    def decide(
        judged: Sequence[Verdict], known: Mapping[str, Known], *, now_ms: int
    ) -> list[Result]:
        if pending:
            raise pending.pop()
        return parts.decide(judged, known, now_ms=now_ms)

    return replace(_login(note)(parts), decide=decide)


def _ignores_teams(parts: Parts) -> Parts:
    def judge(element: Element, principal: Principal) -> Verdict:
        return parts.judge(element, Principal(principal.username))

    return replace(parts, judge=judge)


def _decoder(change: Callable[[str, int], BodyDecoder]) -> Apply:
    return lambda parts: replace(parts, decoder=change)


def _demands_gzip(encoding: str, limit_bytes: int) -> BodyDecoder:
    if encoding.lower() != "gzip":
        raise malformed("the body is not gzip")
    return body_decoder(encoding, limit_bytes)


class _FirstMember:
    """Reads the first gzip member and ignores what follows."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._body = b""

    def feed(self, chunk: bytes) -> None:
        self._body += chunk

    def finish(self) -> bytes:
        end = self._body.find(b"\x1f\x8b\x08", 3)
        decoder = body_decoder("gzip", self._limit_bytes)
        decoder.feed(self._body[:end] if end > 0 else self._body)
        return decoder.finish()


class _NoTrailer:
    """Unpacks by hand: ten bytes of header, no checksum at the end."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._body = b""

    def feed(self, chunk: bytes) -> None:
        self._body += chunk

    def finish(self) -> bytes:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return inflate.decompress(self._body[10:], self._limit_bytes)
        except zlib.error:
            raise malformed("the body is not valid gzip") from None


class _PlainAnyway(_NoTrailer):
    """Takes plain JSON that says it is gzip."""

    def finish(self) -> bytes:
        if self._body.startswith(b"\x1f\x8b"):
            decoder = body_decoder("gzip", self._limit_bytes)
            decoder.feed(self._body)
            return decoder.finish()
        return self._body


def _gzip_by(decoder: Callable[[int], BodyDecoder]) -> Apply:
    """Read gzip bodies with another decoder."""
    return _decoder(
        lambda encoding, limit_bytes: (
            decoder(limit_bytes) if "gzip" in encoding.lower() else Identity(limit_bytes)
        )
    )


def _reads(repair: Callable[[bytes], bytes]) -> Apply:
    """Repair a body before it is parsed."""

    def apply(parts: Parts) -> Parts:
        def split(body: bytes, limits: Limits) -> Sequence[Element]:
            return parts.split(repair(body), limits)

        return replace(parts, split=split)

    return apply


def _crashes_on_empty(parts: Parts) -> Parts:
    def split(body: bytes, limits: Limits) -> Sequence[Element]:
        elements = parts.split(body, limits)
        if not elements:
            raise Refusal(500, "internal error")
        return elements

    return replace(parts, split=split)


ACCESS: Mapping[str, Fault] = MappingProxyType(
    {
        # access
        "takes-any-token": Fault(
            "tokens are not looked at", lambda parts: replace(parts, authenticate=_everyone)
        ),
        "takes-any-bad-token": Fault(
            "a wrong token is taken, a missing one is not",
            _login(lambda directory, header, refusal: Principal("anyone") if header else refusal),
        ),
        "scheme-is-case-sensitive": Fault("`bearer` is refused", _case_sensitive),
        "takes-any-scheme": Fault("a token counts under whatever scheme, or none", _any_scheme),
        "expired-is-403": Fault("403 for an expired token", _expired(403)),
        "expired-is-500": Fault("500 for an expired token", _expired(500)),
        "bad-token-is-500": Fault(
            "500 for a token that cannot be read",
            _login(lambda directory, header, refusal: Refusal(500, "x") if header else refusal),
        ),
        "echoes-token": Fault(
            "the answer quotes the token",
            _login(lambda directory, header, refusal: Refusal(401, f"no such token: {header}")),
        ),
        "parses-before-auth": Fault("400 comes before 401", _judges_first),
        "stores-before-auth": Fault("401, but the events are stored", _stores_first),
        "ignores-teams": Fault("a token writes into every team", _ignores_teams),
        # bodies
        "ignores-gzip": Fault(
            "gzip is not unpacked", _decoder(lambda encoding, limit_bytes: Identity(limit_bytes))
        ),
        "demands-gzip": Fault("plain JSON is refused", _decoder(_demands_gzip)),
        "reads-first-member-only": Fault("the second gzip member is lost", _gzip_by(_FirstMember)),
        "ignores-checksum": Fault("gzip with a wrong checksum is taken", _gzip_by(_NoTrailer)),
        "takes-plain-as-gzip": Fault("plain JSON that says gzip is taken", _gzip_by(_PlainAnyway)),
        "takes-any-encoding": Fault(
            "an unknown Content-Encoding is ignored",
            _decoder(
                lambda encoding, limit_bytes: body_decoder(
                    encoding if encoding.lower() == "gzip" else "", limit_bytes
                )
            ),
        ),
        "takes-nan": Fault("NaN is a number", _reads(lambda body: body.replace(b"NaN", b"0"))),
        "takes-trailing-comma": Fault(
            "a comma after the last event is taken",
            _reads(lambda body: body.replace(b",]", b"]")),
        ),
        "takes-bom": Fault(
            "a byte order mark is skipped", _reads(lambda body: body.removeprefix(b"\xef\xbb\xbf"))
        ),
        "takes-broken-utf8": Fault(
            "bytes that are not UTF-8 are replaced",
            _reads(lambda body: body.decode("utf-8", "replace").encode()),
        ),
        "takes-garbage-after-json": Fault(
            "what follows the JSON object is ignored",
            _reads(lambda body: body[: body.rfind(b"}") + 1] or body),
        ),
        "takes-bare-list": Fault(
            "a list without the object around it is a batch",
            _reads(lambda body: b'{"events":%s}' % body if body[:1] == b"[" else body),
        ),
        "crashes-on-empty-list": Fault("500 for a batch without events", _crashes_on_empty),
    }
)
